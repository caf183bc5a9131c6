"""The recent events of a run, in memory, so that a hundred followers cost the database no more than one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from app.domain.event import RecordedEvent


class RecentEvents:
    """The newest part of a feed, from its beginning on as long as that fits."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        # Where each cursor stands in the feed, counted from its beginning (0: before the first event), oldest first.
        self._places: dict[str | None, int] = {None: 0}
        self._events: dict[int, RecordedEvent] = {}  # by the place in front of it
        self._end = 0

    def extend(self, events: Sequence[RecordedEvent]) -> None:
        """Append what comes next in the feed."""
        for event in events:
            self._events[self._end] = event
            self._end += 1
            self._places[event.cursor] = self._end
        while len(self._events) > self._capacity:
            del self._events[next(iter(self._events))]
            del self._places[next(iter(self._places))]

    def after(self, cursor: str | None, limit: int) -> list[RecordedEvent] | None:
        """Up to ``limit`` events that follow the cursor, none at the end; None when it is not among the recent ones."""
        place = self._places.get(cursor)
        if place is None:
            return None
        return [self._events[number] for number in islice(range(place, self._end), limit)]
