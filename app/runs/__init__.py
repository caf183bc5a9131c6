"""Running a run: start it, emit its orders, relay its jobs, work on them, wait, reconcile, conclude."""
