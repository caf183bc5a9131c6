"""Pausing: nothing new is begun, whatever the run is doing, and everything goes on afterwards."""

from __future__ import annotations

import threading

import pytest

from app.domain.errors import Conflict
from app.domain.run import OrderState, RunState, StepState
from app.domain.work import PAUSE
from app.ports import OrderOutcome, OutboundOrder, StepContext, StepResult
from app.runs.control import request_cancel, request_pause, request_resume
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.fakes import ACCEPTED, generated
from tests.runs.faults import Producing
from tests.runs.test_cancel import adds_up
from tests.services.processes import wait_until

SLOW = {"model": "constant", "rate": 100}
AWHILE = 0.5  # seconds in which what must not happen would have happened


def settle(world: World) -> int:
    """How many orders were sent, once the group that was being begun is."""
    while True:
        before = len(world.sender.sent)
        threading.Event().wait(AWHILE)
        if len(world.sender.sent) == before:
            return before


def test_a_paused_run_sends_no_order_until_it_is_resumed(world: World) -> None:
    run = world.start(orders=150, steps=STEPS[:1], arrival=SLOW)
    producing = Producing(world, run)
    wait_until(lambda: len(world.sender.sent) >= 5, 60, "some orders")
    assert request_pause(world.database, run.id).state is RunState.PAUSED
    sent = settle(world)
    assert sent < 150
    assert request_resume(world.database, run.run_key).state is RunState.RUNNING
    ended = producing.wait()
    assert ended.state is RunState.COMPLETED
    assert adds_up(ended)["completed"] == len(world.sender.sent) == 150
    states = [event.event.data["state"] for event in world.events(run, "run.state")]
    assert states[1:4] == ["RUNNING", "PAUSED", "RUNNING"]


def test_what_waits_in_the_sender_is_taken_back_and_sent_afterwards(world: World) -> None:
    """The receiver is slow: orders stand in the sender's own queue when the run is paused."""
    open_ = threading.Event()

    def answer(order: OutboundOrder) -> OrderOutcome | None:
        return ACCEPTED if order.number < 10 or open_.is_set() else None

    world.sender.answer = answer
    run = world.start(orders=60, steps=STEPS[:1])
    producing = Producing(world, run)
    wait_until(lambda: len(world.events(run, "order.completed")) == 10, 60, "the first orders")
    request_pause(world.database, run.id)
    wait_until(lambda: _counts(world, run.id)[OrderState.SENDING] == 0, 60, "the rest to be taken back")
    open_.set()
    assert settle(world) == 10
    request_resume(world.database, run.id)
    ended = producing.wait()
    assert (ended.state, adds_up(ended)["completed"]) == (RunState.COMPLETED, 60)
    assert sorted(order.number for order in world.sender.sent) == list(range(60))
    assert ended.summary is not None and ended.summary["hl7"]["possibly_duplicated"] == 0


def _counts(world: World, run_id: str) -> dict[OrderState, int]:
    with world.database.transaction() as work:
        return work.orders.counts(run_id)


def test_a_run_that_is_paused_when_its_last_orders_are_under_way_waits_with_the_next_phase(world: World) -> None:
    paused = threading.Event()

    def answer(order: OutboundOrder) -> OrderOutcome:
        if order.number == 20:
            request_pause(world.database, run.id)
            paused.set()
        return ACCEPTED

    run = world.start(orders=21, steps=STEPS[:1])
    world.sender.answer = answer
    producing = Producing(world, run)
    assert paused.wait(60)
    wait_until(lambda: _counts(world, run.id)[OrderState.COMPLETED] == 21, 60, "the orders")
    producing._thread.join(AWHILE)
    assert not producing.is_over
    request_resume(world.database, run.id)
    assert producing.wait().state is RunState.COMPLETED


def test_jobs_of_a_paused_run_are_parked_and_go_on_afterwards(world: World) -> None:
    run = world.start(orders=30)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 30, 60, "the jobs")
    wait_until(lambda: _state(world, run.id) is RunState.WAITING_ON_WORKERS, 60, "the end of the emission")
    assert request_pause(world.database, run.id).state is RunState.PAUSED
    worker = world.worker()
    worker.start()
    wait_until(lambda: _parked(world, run.id) == {PAUSE: 30}, 60, "the jobs to be parked")
    assert world.steps.steps["GENERATE_DICOM"].ran == []
    assert request_resume(world.database, run.id).state is RunState.WAITING_ON_WORKERS
    ended = producing.wait()
    assert worker.stop(10)
    assert (ended.state, adds_up(ended)["completed"]) == (RunState.COMPLETED, 30)
    assert sorted(world.steps.steps["GENERATE_DICOM"].ran) == list(range(30))


def _state(world: World, run_id: str) -> RunState:
    with world.database.transaction() as work:
        return work.runs.get(run_id).state


def _parked(world: World, run_id: str) -> dict[str, int]:
    return {count.waiting_for: count.jobs for count in world.database.queries.parked(run_id)}


def test_the_relay_of_a_paused_run_publishes_nothing(world: World) -> None:
    """Back-pressure has kept jobs in the outbox; room that workers make is not used during a pause."""
    world.backpressure_mark = 5
    run = world.start(orders=20)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 5, 60, "the first jobs")
    wait_until(lambda: _counts(world, run.id)[OrderState.WAITING] == 20, 60, "the orders")
    request_pause(world.database, run.id)
    worker = world.worker()
    worker.start()
    wait_until(lambda: _parked(world, run.id) == {PAUSE: 5}, 60, "the jobs to be parked")
    producing._thread.join(AWHILE)
    with world.database.transaction() as work:
        assert work.outbox.waiting(run.id) == 15
    request_resume(world.database, run.id)
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)


def test_what_a_worker_has_begun_is_finished_during_the_pause(world: World) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def act(context: StepContext) -> StepResult:
        begun.set()
        assert go_on.wait(60)
        return generated(context)

    world.steps.steps["GENERATE_DICOM"].act = act
    run = world.start(orders=1)
    producing = Producing(world, run)
    worker = world.worker()
    worker.start()
    assert begun.wait(60)
    request_pause(world.database, run.id)
    go_on.set()
    wait_until(lambda: _counts(world, run.id)[OrderState.COMPLETED] == 1, 60, "the order")
    assert world.database.queries.order(run.id, 0)[1][2].state is StepState.SUCCEEDED
    producing._thread.join(AWHILE)
    assert not producing.is_over
    request_resume(world.database, run.id)
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)


def test_a_paused_run_can_be_cancelled(world: World) -> None:
    run = world.start(orders=150, arrival=SLOW)
    producing = Producing(world, run)
    wait_until(lambda: len(world.sender.sent) >= 5, 60, "some orders")
    request_pause(world.database, run.id)
    request_cancel(world.database, run.id)
    ended = producing.wait()
    assert ended.state is RunState.CANCELLED
    counts = adds_up(ended)
    assert counts["cancelled"] > 0 and counts["not_emitted"] > 0


def test_pausing_and_resuming_say_why_they_can_not(world: World) -> None:
    run = world.start(orders=3)
    with pytest.raises(Conflict, match=r"is PENDING; only one that is RUNNING or WAITING_ON_WORKERS can be paused"):
        request_pause(world.database, run.id)
    with pytest.raises(Conflict, match="is not paused: it is PENDING"):
        request_resume(world.database, run.id)
    ended = world.run_to_end(run)
    for request in (request_pause, request_resume):
        with pytest.raises(Conflict, match="has ended: it is COMPLETED"):
            request(world.database, ended.id)


def test_pausing_twice_is_pausing_once(world: World) -> None:
    run = world.start(orders=50, arrival=SLOW)
    producing = Producing(world, run)
    wait_until(lambda: len(world.sender.sent) >= 1, 60, "an order")
    assert request_pause(world.database, run.id).state is RunState.PAUSED
    assert request_pause(world.database, run.id).state is RunState.PAUSED
    request_cancel(world.database, run.id)
    assert producing.wait().state is RunState.CANCELLED
