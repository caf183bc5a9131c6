"""Real services for tests: private, on loopback and free ports, ended with the session."""
