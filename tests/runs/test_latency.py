"""Latency from the due time, and who limited the load: the figures are those that can be worked out by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from app.domain.event import RUN_NOTE, RUN_STATE, Event, RecordedEvent
from app.domain.run import OrderState, RunState
from app.ports import OrderOutcome, OutboundOrder
from app.runs.producing.emit import Gate
from app.runs.producing.outcomes import intent
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold
from tests.runs.conftest import BASE_TIME, STEPS, World
from tests.runs.fakes import ACCEPTED
from tests.runs.virtual import emission

RATE = {"model": "constant", "rate": 100}
ORDERS = 600
STALL, AT = 2.0, 150  # the receiver takes two seconds for one order, and a millisecond for every other one


def stalling(number: int) -> float:
    return STALL if number == AT else 0.001


def by_hand(seconds: Callable[[int], float], gap: float = 0.01) -> list[tuple[float, float]]:
    """Of each order when it starts and when it is answered after its due time, at a receiver that takes one by one."""
    found, free = [], 0.0
    for number in range(ORDERS):
        due = number * gap
        start = max(due, free)
        free = start + seconds(number)
        found.append((start - due, free - due))
    return found


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[int(len(values) * share) - 1]


def at(seconds: float, event: Event) -> RecordedEvent:
    return RecordedEvent("", BASE_TIME + timedelta(seconds=seconds), event)


def test_a_stall_shows_in_the_percentiles_as_it_must(world: World) -> None:
    with emission(world, stalling, ORDERS, RATE) as emitted:
        emitted.emit()
    latency = emitted.summary["latency_seconds"]
    started, answered = zip(*by_hand(stalling), strict=True)
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
        assert latency["schedule_slip"][name] == pytest.approx(percentile(started, share), rel=0.01, abs=1e-6), name
        assert latency["hl7_ack"][name] == pytest.approx(percentile(answered, share), rel=0.01), name
        assert latency["order_to_stored"][name] == pytest.approx(percentile(answered, share), rel=0.01), name
    assert latency["hl7_ack"]["p95"] > 1.0
    assert percentile(emitted.ack_seconds, 0.99) == 0.001  # what is said by who looks at transmissions only


def test_a_receiver_that_stalls_is_the_limit(world: World) -> None:
    with emission(world, stalling, ORDERS, RATE) as emitted:
        emitted.emit()
    load = emitted.summary["load"]
    assert load["late"] == sum(start > 0.05 for start, _ in by_hand(stalling))
    assert load["limited_by"] == "system"
    assert "held up by earlier ones" in load["reason"]
    # Its window of 100 orders was full from a second after the stall began until its end, and a little longer.
    assert emitted.measured["blocked_seconds"] == pytest.approx(1.0, abs=0.15)


def test_a_generator_that_does_not_keep_up_is_the_limit(world: World) -> None:
    with emission(world, lambda number: 0.001, 300, RATE, generator_seconds=0.02) as emitted:
        emitted.emit()
    load = emitted.summary["load"]
    assert load["limited_by"] == "generator"
    assert "though the receiver kept up" in load["reason"]
    assert emitted.summary["latency_seconds"]["hl7_ack"]["max"] > 2.0


def test_nobody_is_the_limit_where_orders_start_when_they_are_due(world: World) -> None:
    with emission(world, lambda number: 0.001, 200, RATE) as emitted:
        emitted.emit()
    load = emitted.summary["load"]
    assert (load["limited_by"], load["late"], load["offered"], load["target_rate"]) == ("nothing", 0, 200, 100)
    assert emitted.summary["latency_seconds"]["hl7_ack"]["max"] == pytest.approx(0.001, abs=1e-5)


def test_a_pause_makes_nobody_late(world: World) -> None:
    with emission(world, lambda number: 0.001, 200, RATE) as emitted:

        def gate() -> Gate:
            return Gate.HELD if 1001.0 <= emitted.clock.now < 1060.0 else Gate.OPEN

        emitted.emit(gate=gate)
    assert emitted.summary["load"]["late"] == 0
    assert emitted.measured["emission_seconds"] == pytest.approx(2.0, abs=0.1)


def test_a_closed_model_begins_nothing_after_its_duration(world: World) -> None:
    with emission(world, lambda number: 0.01, 1000, {"model": "closed", "duration": 1.0}) as emitted:
        emitted.emit()
    assert 100 <= emitted.fold.orders["emitted"] <= 103
    assert emitted.fold.load.is_over
    latency = emitted.summary["latency_seconds"]
    assert latency["schedule_slip"] == {}
    assert latency["hl7_ack"]["max"] == pytest.approx(0.01, rel=0.01)  # it has no due times to count from
    assert emitted.summary["load"]["limited_by"] == "system"


def test_orders_in_doubt_are_sent_even_after_the_duration(world: World) -> None:
    with emission(world, lambda number: 0.01, 500, {"model": "closed", "duration": 1.0}, elapsed=5.0) as emitted:
        emitted.emit(in_doubt=range(150))
    rows = world.database.queries.orders(emitted.run.id, state=None, search=None, after=None, limit=1000).rows
    assert sorted(row.number for row in rows) == list(range(150))


def test_all_orders_in_doubt_end_where_the_run_is_cancelled_before_they_are_sent_again(world: World) -> None:
    """More than are looked at in one go."""
    with emission(world, lambda number: 0.01, 500, {"model": "closed"}) as emitted:
        orders = [emitted.builder.order(number) for number in range(150)]
        with world.database.transaction() as work:
            work.orders.begin(emitted.run.id, [intent(order) for order in orders])
        emitted.emit(in_doubt=range(150), gate=lambda: Gate.CLOSED)
    assert emitted.fold.orders["failed"] == 150
    with world.database.transaction() as work:
        assert work.orders.counts(emitted.run.id)[OrderState.SENDING] == 0


def test_a_run_that_ends_with_its_duration_has_not_failed(world: World) -> None:
    def answer(order: OutboundOrder) -> OrderOutcome:
        time.sleep(0.001)
        return ACCEPTED

    world.sender.answer = answer
    run = world.start(orders=50_000, steps=STEPS[:1], arrival={"duration": "0.3s"})
    ended = world.producer(run).produce()
    assert (ended.state, ended.reason) == (RunState.COMPLETED, "")
    counts = (ended.summary or {})["orders"]
    assert counts["failed"] == 0 and counts["completed"] > 0 and counts["not_emitted"] > 0
    assert counts["completed"] + counts["not_emitted"] == 50_000


def test_a_producer_that_takes_over_knows_what_the_duration_has_left() -> None:
    """The seconds of RUNNING, by the events' own times, without those of a pause."""
    fold = Folds(ProgressFold(0)).summary
    for seconds, state in ((0, "PENDING"), (1, "RUNNING"), (4, "PAUSED"), (100, "RUNNING")):
        fold.apply(at(seconds, Event("run", RUN_STATE, data={"state": state})))
    fold.apply(at(102, Event("run", RUN_NOTE, data={"text": "another producer goes on"})))
    assert fold.load.seconds == 5.0
