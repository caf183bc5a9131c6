"""Scaling: the decision played through over synthetic and recorded loads, and whole pools of real workers."""
