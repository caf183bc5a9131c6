"""Benchmarks: figures with the machine and the command that made them."""
