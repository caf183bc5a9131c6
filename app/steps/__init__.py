"""Step types: one file a type, and the registry."""
