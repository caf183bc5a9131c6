"""Pacing: when each order of a run is due, counted from the moment at which the run begins, or goes on."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.template import Arrival


class Pacing:
    """Due times of an arrival model. ``clock`` gives monotonic seconds; order ``first`` is due at once."""

    def __init__(self, arrival: Arrival, clock: Callable[[], float], first: int = 0) -> None:
        self._interval = 1.0 / arrival.rate if arrival.model == "constant" and arrival.rate else 0.0
        self._clock = clock
        self.go_on(first)

    def go_on(self, first: int) -> None:
        """Order ``first`` is due now, and those behind it at their distance from it."""
        self._first = first
        self._start = self._clock()

    def due_in(self, number: int) -> float:
        """Seconds until order ``number`` is due; zero or less when it is."""
        return self._start + (number - self._first) * self._interval - self._clock()
