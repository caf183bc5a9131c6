"""The worker program: stateless, any number of them."""
