"""The container images, built and run as they are shipped, and the compose file."""
