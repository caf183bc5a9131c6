"""How a producer's process ended, by its exit code: for the server that started it."""

from __future__ import annotations

from enum import IntEnum


class ProducerExit(IntEnum):
    ENDED = 0  # the run has
    FAILED = 1  # it could not go on; the log says why
    OVERTAKEN = 3  # another producer has the run
    HANDED_OVER = 4  # it was asked to leave the run to the next one
    UNAVAILABLE = 5  # a service that it needs to begin is away: to be tried again
