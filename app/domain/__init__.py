"""The pure core: what a template, a run, an order, a job and an event are. No I/O, no clock, no global randomness."""
