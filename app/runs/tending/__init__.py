"""What people, and programs in their place, do about runs: dead letters, queues, worker pools."""
