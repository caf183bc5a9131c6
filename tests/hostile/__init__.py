"""Peers and guests that break the rules, and what becomes of it; docs/hostile-peers.md is the table of all cases."""
