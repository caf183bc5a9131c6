"""Taking a run over: whatever its last producer had done when it died, the next one brings it to its end."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.domain.errors import Conflict
from app.domain.event import TERMINAL_ORDER_KINDS
from app.domain.run import OrderState, Run, RunState
from app.ports import OrderOutcome, OutboundOrder
from app.runs.control import request_cancel, request_pause, request_resume
from app.runs.producing.lease import HandedOver, LeaseLost
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.fakes import ACCEPTED, FakeOrderSender
from tests.runs.faults import FreezingDatabase, Killed, MortalDatabase, Producing, take_over
from tests.runs.test_cancel import adds_up
from tests.services.processes import wait_until

SHORT_LEASE = 0.3


def next_life(world: World) -> World:
    """Another process: the rows are the same, the queue is not."""
    broker = InProcessBroker()
    broker.declare([QUEUE])
    return replace(world, broker=broker, sender=FakeOrderSender())


def die_after(world: World, run: Run, transactions: int, *, with_worker: bool = True) -> None:
    """A producer, perhaps with its own worker, that is killed then."""
    mortal = MortalDatabase(world.database, transactions)
    life = replace(next_life(world), database=cast(Any, mortal), lease_seconds=SHORT_LEASE)
    worker = life.worker(concurrency=2)
    if with_worker:
        worker.start()
    take_over(life, run).join()
    mortal.kill()
    if with_worker:
        with suppress(Killed):
            worker.stop(grace=0.1)


def run_to_end(world: World, run: Run) -> Run:
    life = next_life(world)
    worker = life.worker()
    worker.start()
    try:
        return take_over(life, run).wait()
    finally:
        worker.stop(grace=10)


def check_whole(world: World, run: Run, ended: Run, orders: int) -> None:
    assert ended.state is RunState.COMPLETED, ended.reason
    counts = adds_up(ended)
    assert (counts["completed"], counts["emitted"], counts["not_emitted"]) == (orders, orders, 0)
    ends = Counter(event.event.order_number for event in world.events(run, *TERMINAL_ORDER_KINDS))
    assert ends == dict.fromkeys(range(orders), 1)
    with world.database.transaction() as work:
        assert work.orders.counts(run.id)[OrderState.COMPLETED] == orders
        assert not work.jobs.outstanding(run.id)


@pytest.mark.parametrize("transactions", [1, 2, 4, 6, 9, 14, 20, 30])
def test_a_run_goes_on_wherever_its_producer_was_killed(world: World, transactions: int) -> None:
    run = world.start(orders=150)
    die_after(world, run, transactions)
    check_whole(world, run, run_to_end(world, run), 150)


def test_a_run_goes_on_however_often_its_producer_is_killed(world: World) -> None:
    """Each lives a little longer than the one before."""
    run = world.start(orders=300)
    for transactions in range(8, 20):
        die_after(world, run, transactions, with_worker=False)
    check_whole(world, run, run_to_end(world, run), 300)


# --- orders in doubt --------------------------------------------------------------------------------------------------


def die_with_orders_in_doubt(world: World, run: Run) -> set[int]:
    """Its producer is killed when the last 7 of its orders were sent and not yet answered."""

    def answer(order: OutboundOrder) -> OrderOutcome | None:
        return ACCEPTED if order.number < run.requested - 7 else None

    mortal = MortalDatabase(world.database)
    life = replace(world, database=cast(Any, mortal), sender=FakeOrderSender(answer), lease_seconds=SHORT_LEASE)
    producing = Producing(life, run)
    wait_until(lambda: len(world.events(run, "step.succeeded")) == run.requested - 7, 30, "the acknowledgements")
    mortal.kill()
    assert isinstance(producing.join(), (Killed, RuntimeError))
    return set(range(run.requested - 7, run.requested))


def test_orders_in_doubt_are_sent_again_under_the_same_control_id_before_the_others(world: World) -> None:
    run = world.start(orders=120, steps=STEPS[:1])
    in_doubt = die_with_orders_in_doubt(world, run)
    life = next_life(world)
    ended = take_over(life, run).wait()
    check_whole(world, run, ended, 120)
    assert [order.number for order in life.sender.sent] == sorted(in_doubt)
    rows = world.database.queries.orders(run.id, state=None, search=None, after=None, limit=200).rows
    assert {row.number for row in rows if row.possibly_duplicated} == in_doubt
    assert [order.control_id for order in life.sender.sent] == [
        row.control_id for row in rows if row.number in in_doubt
    ]
    assert ended.summary is not None
    assert (ended.summary["hl7"]["possibly_duplicated"], ended.summary["hl7"]["resent"]) == (7, 7)


def test_orders_in_doubt_fail_where_the_receiver_cannot_tell_repeats_apart(world: World) -> None:
    run = world.start(orders=20, steps=STEPS[:1], hl7={"on_unknown": "fail"})
    in_doubt = die_with_orders_in_doubt(world, run)
    life = next_life(world)
    ended = take_over(life, run).wait()
    assert life.sender.sent == []
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    assert adds_up(ended)["failed"] == 7
    rows = world.database.queries.orders(run.id, state=OrderState.FAILED, search=None, after=None, limit=200).rows
    assert {row.number for row in rows} == in_doubt
    assert all("outcome unknown" in row.reason for row in rows)


def test_a_duration_that_is_over_stays_so_and_orders_in_doubt_are_sent_still(world: World) -> None:
    def answer(order: OutboundOrder) -> OrderOutcome | None:
        return ACCEPTED if order.number < 20 else None

    run = world.start(orders=1000, steps=STEPS[:1], arrival={"duration": 0.5})
    mortal = MortalDatabase(world.database)
    life = replace(world, database=cast(Any, mortal), sender=FakeOrderSender(answer), lease_seconds=SHORT_LEASE)
    producing = Producing(life, run)
    wait_until(lambda: len(world.events(run, "step.succeeded")) == 20, 30, "the acknowledgements")
    mortal.kill()
    producing.join()
    with world.database.transaction() as work:
        begun = set(work.orders.begun(run.id))
    time.sleep(0.5)
    life = next_life(world)
    ended = take_over(life, run).wait()
    assert ended.state is RunState.COMPLETED, ended.reason
    assert {order.number for order in life.sender.sent} == begun - set(range(20)) != set()
    assert adds_up(ended)["not_emitted"] == 1000 - len(begun)


def test_due_times_go_on_where_the_last_producer_left_them(world: World) -> None:
    arrival = {"model": "poisson", "rate": 200}
    run = world.start(orders=60, steps=STEPS[:1], arrival=arrival)
    die_after(world, run, 6, with_worker=False)
    ended = run_to_end(world, run)
    check_whole(world, run, ended, 60)
    load = (ended.summary or {})["load"]
    assert (load["model"], load["target_rate"], load["offered"]) == ("poisson", 200.0, 60)


# --- states -----------------------------------------------------------------------------------------------------------


def test_a_paused_run_stays_paused_with_its_next_producer(world: World) -> None:
    run = world.start(orders=50, arrival={"model": "constant", "rate": 100})
    mortal = MortalDatabase(world.database)
    first = Producing(replace(world, database=cast(Any, mortal), lease_seconds=SHORT_LEASE), run)
    wait_until(lambda: len(world.sender.sent) >= 5, 30, "some orders")
    request_pause(world.database, run.id)
    mortal.kill()
    first.join()
    life = next_life(world)
    worker = life.worker()
    worker.start()
    second = take_over(life, run)
    wait_until(lambda: bool(world.events(run, "run.note")), 30, "the takeover")
    second._thread.join(0.5)
    assert not second.is_over and life.sender.sent == []
    request_resume(world.database, run.id)
    check_whole(world, run, second.wait(), 50)
    assert worker.stop(10)


def test_a_run_that_is_being_cancelled_is_brought_to_its_end_and_sends_nothing_more(world: World) -> None:
    run = world.start(orders=120, steps=STEPS[:1])
    die_with_orders_in_doubt(world, run)
    request_cancel(world.database, run.id)
    life = next_life(world)
    ended = take_over(life, run).wait()
    assert ended.state is RunState.CANCELLED
    assert life.sender.sent == []
    counts = adds_up(ended)
    assert (counts["completed"], counts["failed"], counts["not_emitted"]) == (113, 7, 0)


def test_a_run_whose_producer_died_while_it_reconciled_is_reconciled(world: World) -> None:
    run = world.start(orders=10)
    mortal = MortalDatabase(world.database)

    class Deadly:
        def echo(self, destination: object) -> None:
            pass

        def studies(self, *_: object) -> Any:
            mortal.kill()
            raise Killed

    life = replace(world, database=cast(Any, mortal), archive=cast(Any, Deadly()), lease_seconds=SHORT_LEASE)
    worker = world.worker()
    worker.start()
    assert isinstance(Producing(life, run).join(), Killed)
    assert worker.stop(10)
    with world.database.transaction() as work:
        assert work.runs.get(run.id).state is RunState.RECONCILING
    ended = take_over(next_life(world), run).wait()
    check_whole(world, run, ended, 10)
    assert ended.summary is not None and ended.summary["reconciliation"]["expected"] == 10


# --- leaving, and being overtaken -------------------------------------------------------------------------------------


def test_a_producer_that_leaves_lets_the_next_one_go_on_at_once(world: World) -> None:
    run = world.start(orders=200, arrival={"model": "constant", "rate": 200})
    first = Producing(world, run)
    wait_until(lambda: len(world.sender.sent) >= 20, 30, "some orders")
    first.leaving.set()
    assert isinstance(first.join(), HandedOver)
    with world.database.transaction() as work:
        assert work.leases.remaining(run.id) == 0
        assert work.orders.counts(run.id)[OrderState.SENDING] == 0
        assert work.runs.get(run.id).state is RunState.RUNNING
    ended = run_to_end(world, run)
    check_whole(world, run, ended, 200)
    assert ended.summary is not None and ended.summary["hl7"]["possibly_duplicated"] == 0


def test_a_producer_leaves_while_it_waits_for_workers(world: World) -> None:
    run = world.start(orders=10)
    first = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 10, 30, "the jobs")
    first.leaving.set()
    assert isinstance(first.join(), HandedOver)
    check_whole(world, run, run_to_end(world, run), 10)


@pytest.mark.parametrize("phase", ["emission", "waiting"])
def test_a_frozen_producer_writes_nothing_after_it_was_overtaken(world: World, phase: str) -> None:
    """It wakes up with acknowledgements to write, jobs to publish and a run to conclude."""
    run = world.start(orders=60, **({"arrival": {"model": "constant", "rate": 50}} if phase == "emission" else {}))
    freezing = FreezingDatabase(world.database)
    frozen = Producing(replace(world, database=cast(Any, freezing), lease_seconds=SHORT_LEASE), run)
    ready = 10 if phase == "emission" else 60
    wait_until(lambda: world.broker.depth(QUEUE).ready >= ready, 30, "some jobs")
    freezing.freeze()
    check_whole(world, run, run_to_end(world, run), 60)
    told = world.events(run)
    freezing.thaw()
    assert isinstance(frozen.join(), LeaseLost)
    assert world.events(run) == told


def test_two_producers_at_once_are_one_too_many(world: World) -> None:
    run = world.start(orders=5)
    first = Producing(world, run)
    wait_until(lambda: len(world.sender.sent) == 5, 30, "the orders")
    with pytest.raises(Conflict, match="another producer is running this run"):
        world.producer(run).produce()
    worker = world.worker()
    worker.start()
    check_whole(world, run, first.wait(), 5)
    assert worker.stop(10)
