"""The folds of a run together: an interval of its course ends with the depths of that moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain import event as kinds
from app.domain.event import Event, RecordedEvent
from app.domain.metrics import Depths
from app.runs.reading.course import FINEST, MOST
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold

BEGIN = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - any moment
RUNNING = RecordedEvent("c", BEGIN, Event("run", kinds.RUN_STATE, data={"state": "RUNNING"}))
NOTE = Event("run", kinds.RUN_NOTE, data={"text": "of no order"})


def event(kind: str, number: int, **data: Any) -> Event:
    return Event("run", kind, number, 1, 1, data=data)


def happenings(number: int) -> list[Event]:
    return [
        event(kinds.JOB_QUEUED, number, queue="q", job="j", publish_seconds=0.001),
        event(kinds.JOB_STARTED, number, worker=f"worker-{number % 2}", wait_seconds=0.01),
        event(kinds.JOB_FINISHED, number, queue="q", worker="w", seconds=0.1, outcome="succeeded"),
        event(kinds.STEP_PARKED, number, type="SEND_DICOM", reason="away"),
        event(kinds.ORDER_COMPLETED, number, seconds=1.0),
        event(kinds.ORDER_FAILED, number, seconds=1.0, reason="0xA700"),
    ]


EVENTS = st.one_of(st.integers(0, 5).flatmap(lambda number: st.sampled_from(happenings(number))), st.just(NOTE))
# Mostly one after the other; but events are not in the order of their times, and now and then the intervals widen.
STEPS = st.one_of(st.floats(-1, 1), st.floats(0, 0.3), st.floats(0, 100))


@given(st.lists(st.tuples(STEPS, EVENTS), max_size=60), st.sets(st.integers(0, 59), max_size=3))
def test_each_interval_has_the_depths_after_its_last_event(
    happened: list[tuple[float, Event]], looks: set[int]
) -> None:
    folds, progress, seconds = Folds(ProgressFold(6)), ProgressFold(6), 0.0
    folds.apply(RUNNING)
    depths: list[tuple[float, Depths]] = []  # after each event of an order
    for number, (step, each) in enumerate(happened):
        seconds = max(round(seconds + step, 3), 0.0)
        folds.apply(RecordedEvent("c", BEGIN + timedelta(seconds=seconds), each))
        progress.apply(each)
        if each.order_number is not None:
            depths.append((seconds, progress.depths))
        if number in looks:  # looking changes nothing
            folds.metrics()
    intervals = folds.metrics().intervals
    assert [Depths(each.queued, each.running, each.workers) for each in intervals] == expected(depths)


def expected(depths: list[tuple[float, Depths]]) -> list[Depths]:
    """Of each interval up to the latest one: of its last finest part that has any, or of the interval before it."""
    width = FINEST
    finest: dict[int, Depths] = {}
    for seconds, each in depths:
        while seconds >= MOST * width:
            width *= 2
            finest = {number // 2: finest[number] for number in sorted(finest)}
        finest[int(seconds / width)] = each
    found, latest = [], Depths(0, 0, 0)
    for number in range(max(finest, default=-1) + 1):
        latest = finest.get(number, latest)
        found.append(latest)
    return found
