"""Pacing: a run's schedule on a clock. It stands still while the run is paused, and while no producer is there."""

from __future__ import annotations

from collections.abc import Callable

from app.domain.schedule import Schedule, due_before


class Pacing:
    """When each order is due, by ``clock``, which gives monotonic seconds.

    ``elapsed`` seconds of the schedule are over already, in another producer. ``ends_after``: seconds of the schedule
    behind which nothing more is begun; None leaves the end to the number of orders.
    """

    def __init__(
        self,
        schedule: Schedule,
        clock: Callable[[], float],
        elapsed: float = 0.0,
        ends_after: float | None = None,
    ) -> None:
        self._schedule = schedule
        self._clock = clock
        self._entered = clock()
        self._start = self._entered - elapsed
        self._ends_after = ends_after
        self._held_since: float | None = None

    def hold(self) -> None:
        """The schedule stands still until it goes on."""
        if self._held_since is None:
            self._held_since = self._clock()

    def go_on(self) -> None:
        """Whatever was late is as late as it was, and the others keep their distance."""
        if self._held_since is not None:
            pause = self._clock() - self._held_since
            self._start += pause
            self._entered += pause
            self._held_since = None

    def due_at(self, number: int) -> float:
        """When an order is due; one that another producer had due, as soon as this one is there."""
        return max(self._start + self._schedule.due(number), self._entered)

    def due_in(self, number: int) -> float:
        """Seconds until order ``number`` is due; zero or less when it is."""
        return self.due_at(number) - self._clock()

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._ends_after is not None and self._elapsed >= self._ends_after

    def offered(self, orders: int) -> int:
        """How many of so many orders are due by now."""
        return due_before(self._schedule, self._elapsed, orders)

    @property
    def _elapsed(self) -> float:
        return (self._clock() if self._held_since is None else self._held_since) - self._start
