"""Cancelling: a consistent run whose order counts add up, whenever it is asked for."""

from __future__ import annotations

import threading

import pytest

from app.domain.errors import Conflict, TemporaryError
from app.domain.run import OrderState, Run, RunState
from app.ports import OrderOutcome, OutboundOrder, StepContext, StepResult
from app.runs.control import request_cancel
from app.runs.working.work import STATE_AGE
from tests.runs.conftest import QUEUE, World
from tests.runs.fakes import ACCEPTED, generated


def adds_up(run: Run) -> dict[str, int]:
    assert run.summary is not None
    orders: dict[str, int] = run.summary["orders"]
    ends = sum(orders[end] for end in ("completed", "failed", "cancelled", "not_emitted"))
    assert orders["requested"] == ends, orders
    return orders


def test_cancel_while_orders_are_being_sent(world: World) -> None:
    """What was never transmitted is not emitted; what was acknowledged and not begun is cancelled."""
    run = world.start(orders=2000)
    asked = threading.Event()

    def answer(order: OutboundOrder) -> OrderOutcome | None:
        if order.number == 150:
            request_cancel(world.database, run.id)
            asked.set()
        return ACCEPTED if order.number < 200 else None

    world.sender.answer = answer
    ended = world.producer(run).produce()
    assert asked.is_set()
    assert ended.state is RunState.CANCELLED
    orders = adds_up(ended)
    assert orders["cancelled"] == orders["emitted"] == 200
    assert orders["not_emitted"] == 1800
    with world.database.transaction() as work:
        assert work.outbox.waiting(run.id) == 0
        assert sum(work.orders.counts(run.id).values()) == 200


def test_cancel_while_workers_work_stops_claimed_jobs_between_steps(world: World) -> None:
    run = world.start(orders=60)
    begun = threading.Event()
    go_on = threading.Event()

    def act(context: StepContext) -> StepResult:
        begun.set()
        assert go_on.wait(10)
        return generated(context)

    world.steps.steps["GENERATE_DICOM"].act = act
    worker = world.worker(concurrency=2, prefetch=2)
    worker.start()
    ended: list[Run] = []
    producing = threading.Thread(target=lambda: ended.append(world.producer(run).produce()), daemon=True)
    producing.start()
    assert begun.wait(10)
    request_cancel(world.database, run.id)
    go_on.wait(STATE_AGE + 0.05)  # a worker may believe for so long that the run goes on
    go_on.set()
    producing.join(20)
    assert worker.stop(5)
    [end] = ended
    assert end.state is RunState.CANCELLED
    orders = adds_up(end)
    assert orders["completed"] == 0 and orders["failed"] == 0
    assert len(world.steps.steps["SEND_DICOM"].ran) == 0


def test_a_step_that_gives_up_because_of_the_cancel_cancels_its_order(world: World) -> None:
    run = world.start(orders=1)

    def act(context: StepContext) -> StepResult:
        request_cancel(world.database, run.id)
        while not context.is_cancelled():
            threading.Event().wait(0.05)
        raise TemporaryError("gave up waiting for the archive")

    world.steps.steps["SEND_DICOM"].act = act
    ended = world.run_to_end(run)
    assert ended.state is RunState.CANCELLED
    row, steps = world.database.queries.order(run.id, 0)
    assert row.state is OrderState.CANCELLED
    assert [step.state for step in steps] == ["SUCCEEDED", "SUCCEEDED", "CANCELLED"]
    adds_up(ended)


def test_messages_of_a_cancelled_run_that_are_still_queued_do_nothing(world: World) -> None:
    run = world.start(orders=20)
    producing: list[Run] = []
    thread = threading.Thread(target=lambda: producing.append(world.producer(run).produce()), daemon=True)
    thread.start()
    while world.broker.depth(QUEUE).ready < 20:
        thread.join(0.01)
    request_cancel(world.database, run.id)
    thread.join(20)
    assert producing[0].state is RunState.CANCELLED
    worker = world.worker()
    worker.start()
    while world.broker.depth(QUEUE).ready:
        thread.join(0.01)
    assert worker.stop(5)
    assert world.steps.steps["GENERATE_DICOM"].ran == []
    row, _ = world.database.queries.order(run.id, 0)
    assert row.state is OrderState.CANCELLED


def test_a_run_that_has_ended_cannot_be_cancelled(world: World) -> None:
    ended = world.run_to_end(world.start())
    with pytest.raises(Conflict, match="COMPLETED"):
        request_cancel(world.database, ended.run_key)


def test_cancelling_twice_is_cancelling_once(world: World) -> None:
    run = world.start()
    assert request_cancel(world.database, run.id).state is RunState.CANCELLING
    assert request_cancel(world.database, run.id).state is RunState.CANCELLING
