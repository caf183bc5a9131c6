"""The producer program: one process runs one run. ``python -m app.producer RUN_ID`` is what the API starts."""
