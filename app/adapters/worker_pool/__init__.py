"""Where worker processes run: Kubernetes Deployments, or this machine."""
