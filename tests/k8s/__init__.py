"""The Kubernetes manifests: what they render to, and what must hold of it. No cluster is needed."""
