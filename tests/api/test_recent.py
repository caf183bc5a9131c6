"""Recent events against the plain list that they are the end of."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from app.api.live.recent import RecentEvents
from app.domain.event import Event, RecordedEvent


def recorded(number: int) -> RecordedEvent:
    return RecordedEvent(f"c{number}", datetime(2026, 1, 1, tzinfo=UTC), Event("run", "run.note", data={"n": number}))


@given(
    pages=st.lists(st.integers(min_value=0, max_value=12), max_size=8),
    capacity=st.integers(min_value=1, max_value=20),
    limit=st.integers(min_value=1, max_value=30),
)
def test_what_follows_a_cursor_is_whole_or_unknown(pages: list[int], capacity: int, limit: int) -> None:
    recent = RecentEvents(capacity)
    everything: list[RecordedEvent] = []
    for size in pages:
        page = [recorded(len(everything) + offset) for offset in range(size)]
        everything += page
        recent.extend(page)
    for place in range(len(everything) + 1):
        cursor = everything[place - 1].cursor if place else None
        is_recent = len(everything) - place <= capacity
        assert recent.after(cursor, limit) == (everything[place : place + limit] if is_recent else None)
    assert recent.after("c99999", limit) is None
