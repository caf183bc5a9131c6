"""The worker: takes jobs in groups, runs them side by side, writes and acknowledges what came of them."""
