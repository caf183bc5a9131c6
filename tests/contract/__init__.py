"""Each port's contract: one suite, run over every adapter of the port."""
