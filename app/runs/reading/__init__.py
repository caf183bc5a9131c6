"""What can be read of runs: folded from events, compared with what peers have."""
