"""Jobs whose messages were delivered before: their last worker may have ended because of them, or just beside them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.domain.run import RunState, StepState
from app.domain.work import ClaimRequest
from app.ports import Message, StepContext, StepResult
from tests.runs.broken import Broken, broken_database
from tests.runs.conftest import QUEUE, World
from tests.runs.fakes import generated
from tests.runs.faults import CutBroker, Producing
from tests.services.processes import wait_until

ORDERS = 12
SHORT = 0.5  # seconds in which what must not happen would


class Turnstile:
    """A step that lets orders pass only when it is open."""

    def __init__(self) -> None:
        self.at_work: set[int] = set()
        self.open = threading.Event()

    def __call__(self, context: StepContext) -> StepResult:
        self.at_work.add(context.order.number)
        assert self.open.wait(60)
        return generated(context)


def deliver_once(world: World, orders: int) -> None:
    """Their messages reach somebody who does nothing, and come again."""
    subscription = world.broker.subscribe([QUEUE], orders)
    taken = 0
    while taken < orders:
        taken += len(subscription.receive(orders, 1))
    subscription.close()


def test_they_are_claimed_only_when_a_hand_is_free(world: World) -> None:
    run = world.start(orders=ORDERS)
    turnstile = world.steps.steps["GENERATE_DICOM"].act = Turnstile()
    producing = Producing(world, run)
    deliver_once(world, ORDERS)
    worker = world.worker(concurrency=2)
    worker.start()
    wait_until(lambda: len(turnstile.at_work) == 2, 60, "both hands are at work")
    assert worker.running == 2
    heads = [world.database.queries.order(run.id, number)[1][1] for number in range(ORDERS)]
    assert {step.state for step in heads if step.starts} == {StepState.RUNNING}
    assert sum(step.starts for step in heads) == 2
    turnstile.open.set()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)
    assert len(world.events(run, "job.started")) == ORDERS


def test_new_ones_are_claimed_ahead(world: World) -> None:
    """As a claim's transaction is worth more than one job: the other side of the same coin."""
    run = world.start(orders=ORDERS)
    turnstile = world.steps.steps["GENERATE_DICOM"].act = Turnstile()
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == ORDERS, 60, "all jobs are published")
    worker = world.worker(concurrency=2)
    worker.start()
    wait_until(lambda: worker.running == ORDERS, 60, "all of them are claimed")
    turnstile.open.set()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)


def test_those_that_come_while_the_hands_are_busy_are_claimed_together(world: World) -> None:
    """Though the broker hands them out one by one; what comes to an idle worker is claimed at once."""
    run = world.start(orders=12)
    turnstile = world.steps.steps["GENERATE_DICOM"].act = Turnstile()
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 12, 60, "all jobs are published")
    claimed: list[int] = []

    def claim(honest: Any, requests: Sequence[ClaimRequest], *more: Any) -> Any:
        claimed.append(len(requests))
        return honest(requests, *more)

    def subscribe(honest: Any, *arguments: Any) -> Any:
        return Broken(honest(*arguments), "receive", lambda receive, _, timeout: receive(1, timeout))

    database: Any = broken_database(world.database, "jobs.claim", claim)
    broker = Broken(world.broker, "subscribe", subscribe)
    worker = replace(world, database=database).worker(concurrency=4, broker=broker)
    worker.start()
    wait_until(lambda: worker.running > 4, 60, "more are claimed than there are hands")
    before = list(claimed)
    turnstile.open.set()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)
    assert before[0] == 1
    assert len(before) < 5, before


def test_one_that_its_worker_still_has_is_not_begun_again_and_holds_up_nobody(world: World) -> None:
    """As when the broker was lost: what it delivered comes again, perhaps to the same worker."""
    run = world.start(orders=2)
    turnstile = world.steps.steps["GENERATE_DICOM"].act = Turnstile()
    producing = Producing(world, run)
    first, second = _taken(world, 2)
    world.broker.publish([first])
    deliver_once(world, 1)
    world.broker.publish([first])
    worker = world.worker(concurrency=2)
    worker.start()
    wait_until(lambda: bool(turnstile.at_work), 60, "the first job is begun")
    world.broker.publish([second])
    wait_until(lambda: len(turnstile.at_work) == 2, 60, "the second job is begun")
    turnstile.open.set()
    assert producing.wait().state is RunState.COMPLETED
    wait_until(lambda: world.broker.depth(QUEUE).ready == 0, 60, "the queue is empty")
    assert worker.stop(10)
    assert sorted(world.steps.steps["GENERATE_DICOM"].ran) == [0, 1]
    assert [event.event.starts for event in world.events(run, "job.started")] == [1, 1]


def test_one_that_went_back_to_its_queue_meanwhile_is_left_to_whoever_gets_it_next(world: World) -> None:
    """As when a worker waits for a free hand, and its connection is cut."""
    run = world.start(orders=2)
    turnstile = world.steps.steps["GENERATE_DICOM"].act = Turnstile()
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 2, 60, "both jobs are published")
    deliver_once(world, 2)
    broker = CutBroker(world.broker)
    worker = world.worker(concurrency=1, broker=broker)
    worker.start()
    wait_until(lambda: bool(turnstile.at_work), 60, "the first job is begun")
    wait_until(lambda: world.broker.depth(QUEUE).ready == 0, 60, "the worker has the second one's message")
    broker.cut()
    elsewhere = world.broker.subscribe([QUEUE], 2)
    assert len(elsewhere.receive(2, 60)) == 2
    turnstile.open.set()
    wait_until(lambda: not worker.running, 60, "the worker is done with the first job")
    time.sleep(SHORT)
    assert len(world.steps.steps["GENERATE_DICOM"].ran) == 1
    elsewhere.close()
    broker.mend()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)
    assert [event.event.starts for event in world.events(run, "job.started")] == [1, 1]


def _taken(world: World, count: int) -> list[Message]:
    """The first messages of the queue, for the test to publish when it wants to."""
    subscription = world.broker.subscribe([QUEUE], count)
    taken = []
    while len(taken) < count:
        taken += subscription.receive(count, 1)
    subscription.acknowledge(taken)
    subscription.close()
    return [Message(each.message_id, QUEUE, each.body) for each in taken]
