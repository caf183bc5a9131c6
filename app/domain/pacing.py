"""Pacing: when each order of a run is due, counted from the start of its emission."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.template import Arrival


class Pacing:
    """Due times of an arrival model. ``clock`` gives monotonic seconds; the first order is due at once."""

    def __init__(self, arrival: Arrival, clock: Callable[[], float]) -> None:
        self._interval = 1.0 / arrival.rate if arrival.model == "constant" and arrival.rate else 0.0
        self._clock = clock
        self._start = clock()

    def due_in(self, number: int) -> float:
        """Seconds until order ``number`` is due; zero or less when it is."""
        return self._start + number * self._interval - self._clock()
