"""The run's producer: emits orders, publishes jobs, sees the run to its end; and takes over where another one died."""
