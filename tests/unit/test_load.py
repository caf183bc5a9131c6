"""Who limited the load: from what each emission and each order say of their times."""

from __future__ import annotations

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.domain.event import RUN_LOAD, Event, RecordedEvent
from app.runs.producing.timing import BlockedTime
from app.runs.reading.clock import RunClock
from app.runs.reading.load import LoadFold
from app.util.latency import Latency

CLOSED: dict[str, Any] = {"model": "closed"}
OPEN: dict[str, Any] = {"model": "constant", "rate": 50}
ON_TIME, LATE, WAITED, BLOCKED = (0.01, 0.01, 0.0), (0.4, 0.1, 0.1), (0.1, 0.4, 0.0), (0.5, 0.0, 0.3)


def emitted(cpu: float = 0.0, blocked: float = 0.0, offered: int | None = None) -> dict[str, Any]:
    return {
        "emission_seconds": 10.0,
        "cpu_seconds": cpu,
        "blocked_seconds": blocked,
        "offered": offered,
        "is_over": False,
    }


def load(arrival: dict[str, Any], *emissions: dict[str, Any], **orders: int) -> dict[str, Any]:
    """The section of a run with so many orders of each kind."""
    fold = LoadFold(RunClock())
    for data in emissions:
        at = datetime(2026, 1, 5, 8)  # noqa: DTZ001 - any moment
        fold.apply(RecordedEvent("", at, Event("run", RUN_LOAD, data=data)))
    for kind, count in orders.items():
        for _ in range(count):
            fold.sent(*globals()[kind.upper()])
    run: Any = SimpleNamespace(document={"arrival": arrival})
    return fold.summary(run, Latency())


@pytest.mark.parametrize(
    ("arrival", "emission", "orders", "who", "words"),
    [
        (OPEN, emitted(), {"on_time": 100}, "nothing", "0 of 100 orders started more than 50 ms"),
        (OPEN, emitted(cpu=9.9), {"on_time": 100}, "nothing", "0 of 100"),  # busy, and in time
        (OPEN, emitted(), {"on_time": 99, "late": 1}, "nothing", "1 of 100"),
        (OPEN, emitted(), {"on_time": 98, "late": 2}, "generator", "2 of 100 orders started more than 50 ms"),
        (OPEN, emitted(), {"on_time": 90, "waited": 10}, "system", "held up by earlier ones"),
        (OPEN, emitted(), {"on_time": 90, "blocked": 10}, "system", "held up by earlier ones"),
        (OPEN, emitted(), {"on_time": 90, "blocked": 4, "late": 6}, "generator", "though the receiver kept up"),
        (OPEN, emitted(cpu=9.0), {"on_time": 90, "blocked": 10}, "generator", "took 90% of a processor core"),
        (OPEN, emitted(cpu=8.9), {"on_time": 90, "blocked": 10}, "system", "held up by earlier ones"),
        (CLOSED, emitted(cpu=9.0, blocked=10.0), {}, "generator", "took 90% of a processor core"),
        (CLOSED, emitted(cpu=8.9, blocked=5.0), {}, "system", "50% of the emission was spent waiting for ack"),
        (CLOSED, emitted(blocked=4.9), {}, "nothing", "neither"),
    ],
)
def test_who_limits(
    arrival: dict[str, Any], emission: dict[str, Any], orders: dict[str, int], who: str, words: str
) -> None:
    section = load(arrival, emission, **orders)
    assert section["limited_by"] == who
    assert words in section["reason"]


def test_before_the_end_of_the_emission_there_is_what_is_known() -> None:
    section = load(OPEN, on_time=5)
    assert (section["offered"], section["generator_cpu"], section["limited_by"]) == (None, None, "nothing")


def test_producers_that_followed_each_other_add_up() -> None:
    section = load(OPEN, emitted(cpu=2.0, offered=40), emitted(cpu=6.0, offered=100), on_time=100)
    assert (section["offered"], section["generator_cpu"]) == (100, 0.4)


def test_a_run_of_an_older_template_has_a_closed_model() -> None:
    run: Any = SimpleNamespace(document={})
    section = LoadFold(RunClock()).summary(run, Latency())
    assert (section["model"], section["target_rate"], section["late"]) == ("closed", None, None)


@pytest.mark.parametrize(
    ("moment", "seconds"), [(0, 4), (1, 4), (2, 3), (3, 2), (5, 2), (7, 1), (8, 0), (9, 0)], ids=str
)
def test_how_much_blocked_time_lies_behind_a_moment(moment: float, seconds: float) -> None:
    blocked = BlockedTime()
    blocked.add(1.0, 3.0)
    blocked.add(6.0, 8.0)
    assert blocked.since(moment) == seconds
    assert blocked.total == 4.0


def test_blocked_time_moves_with_the_due_times_over_a_pause() -> None:
    blocked = BlockedTime()
    blocked.add(1.0, 3.0)
    blocked.move(60.0)
    assert (blocked.since(60.0), blocked.since(62.0), blocked.since(63.0)) == (2.0, 1.0, 0.0)


def test_spans_close_together_keep_their_sum_and_take_no_room() -> None:
    blocked = BlockedTime()
    for turn in range(1000):
        blocked.add(turn * 0.04, turn * 0.04 + 0.03)
    assert blocked.since(0.0) == blocked.total == pytest.approx(30.0)
    assert blocked.since(20.0) == pytest.approx(15.0, abs=0.03)
    assert len(blocked._ends) == 1
