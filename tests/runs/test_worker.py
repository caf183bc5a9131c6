"""The worker: groups, redelivery, stopping. Nothing is acknowledged before it is committed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.domain.errors import PublishFailed, Unavailable
from app.domain.event import TERMINAL_ORDER_KINDS
from app.domain.job import decode_job
from app.domain.run import OrderState, Run, RunState, StepState
from app.domain.work import ClaimRequest, JobFinish, StepOutcome
from app.ports import Delivery, Message, StepContext, StepResult
from tests.runs.broken import Broken, broken_database
from tests.runs.conftest import QUEUE, World
from tests.runs.fakes import generated, stored
from tests.runs.test_worker_retries import letters
from tests.services.processes import wait_until


class Producing:
    """A producer in a thread, for tests that look while it runs."""

    def __init__(self, world: World, run: Run) -> None:
        self.ended: list[Run] = []
        self._thread = threading.Thread(target=lambda: self.ended.append(world.producer(run).produce()), daemon=True)
        self._thread.start()

    def wait(self) -> Run:
        self._thread.join(120)
        return self.ended[0]


def test_a_job_delivered_twice_is_done_once(world: World) -> None:
    run = world.start(orders=1)
    producing = Producing(world, run)
    subscription = world.broker.subscribe([QUEUE], 10)
    delivery = wait_for(subscription, 1)[0]
    copy = Message(delivery.message_id, QUEUE, delivery.body)
    subscription.close()
    world.broker.publish([copy, copy])
    worker = world.worker()
    worker.start()
    assert producing.wait().state is RunState.COMPLETED
    while world.broker.depth(QUEUE).ready:
        threading.Event().wait(0.01)
    assert worker.stop(5)
    assert world.steps.steps["SEND_DICOM"].ran == [0]


@pytest.mark.parametrize(("concurrency", "prefetch"), [(1, 1), (4, 4), (4, 1)])
def test_a_worker_that_may_hold_no_more_than_it_runs_goes_on(world: World, concurrency: int, prefetch: int) -> None:
    run = world.start(orders=40)
    all_at_work = threading.Barrier(concurrency)

    def together(context: StepContext) -> StepResult:
        all_at_work.wait(5)
        return generated(context)

    world.steps.steps["GENERATE_DICOM"].act = together
    worker = world.worker(concurrency=concurrency, prefetch=prefetch)
    worker.start()
    ended = Producing(world, run).wait()
    assert worker.is_alive
    assert worker.stop(5)
    assert ended.state is RunState.COMPLETED


def test_a_job_whose_worker_vanished_is_done_by_another(world: World) -> None:
    """The first worker claims and is gone before it finishes: its message comes again, marked redelivered."""
    run = world.start(orders=1)
    hanging, release = threading.Event(), threading.Event()

    def hang(context: StepContext) -> StepResult:
        if not hanging.is_set():
            hanging.set()
            release.wait(20)
        return generated(context)

    world.steps.steps["GENERATE_DICOM"].act = hang
    producing = Producing(world, run)
    lost = world.worker(name="lost")
    lost.start()
    assert hanging.wait(10)
    assert lost.stop(grace=0.05) is False
    other = world.worker(name="other")
    other.start()
    ended = producing.wait()
    release.set()
    assert other.stop(5)
    assert ended.state is RunState.COMPLETED
    started = [(e.event.data["worker"], e.event.starts) for e in world.events(run, "job.started")]
    assert started == [("lost", 1), ("other", 2)]
    assert [e.event.data["worker"] for e in world.events(run, "job.finished")] == ["other"]


def test_an_overtaken_worker_writes_nothing(world: World) -> None:
    """A frozen worker's job was given to another and finished; when it wakes up, its fence is no longer the row's."""
    run = world.start(orders=1)
    hanging, release = threading.Event(), threading.Event()

    def hang(context: StepContext) -> StepResult:
        if not hanging.is_set():
            hanging.set()
            assert release.wait(20)
        return stored(context)

    world.steps.steps["SEND_DICOM"].act = hang
    producing = Producing(world, run)
    frozen = world.worker(name="frozen", concurrency=1)
    frozen.start()
    assert hanging.wait(10)
    overtake(world, run)
    ended = producing.wait()
    release.set()
    frozen.stop(5)
    assert ended.state is RunState.COMPLETED
    finished = [e.event.data["worker"] for e in world.events(run, "job.finished")]
    assert finished == ["second"]
    assert Counter(e.event.kind for e in world.events(run))["order.completed"] == 1


def test_stopping_gives_back_what_no_hand_has_begun(world: World) -> None:
    run = world.start(orders=40)
    begun, release = threading.Event(), threading.Event()

    def slow(context: StepContext) -> StepResult:
        begun.set()
        assert release.wait(20)
        return generated(context)

    world.steps.steps["GENERATE_DICOM"].act = slow
    producing = Producing(world, run)
    first = world.worker(name="first", concurrency=1, prefetch=16)
    first.start()
    assert begun.wait(10)
    stopping: list[bool] = []
    stop = threading.Thread(target=lambda: stopping.append(first.stop(grace=10)))
    stop.start()
    while world.broker.depth(QUEUE).ready < 39:
        stop.join(0.01)
    release.set()
    stop.join(20)
    assert stopping == [True]
    assert first.jobs_done == 1
    second = world.worker(name="second")
    second.start()
    assert producing.wait().state is RunState.COMPLETED
    assert second.stop(5)
    finished = Counter(e.event.data["worker"] for e in world.events(run, "job.finished"))
    assert finished == {"first": 1, "second": 39}
    ran = Counter(world.steps.steps["SEND_DICOM"].ran)
    assert set(ran.values()) == {1} and len(ran) == 40


def test_a_database_that_goes_away_delays_and_loses_nothing(world: World) -> None:
    """Claims and finishes are repeated until the database is back; nothing is acknowledged before."""
    run = world.start(orders=20)
    refusals = iter([True, False] * 4)

    def every_second_one(honest: Any) -> Any:
        if next(refusals, False):
            raise Unavailable("database: connection refused")
        return honest()

    producing = Producing(world, run)
    database: Any = Broken(world.database, "transaction", every_second_one)
    flaky = replace(world, database=database).worker(name="flaky")  # only this worker's connection is bad
    flaky.start()
    ended = producing.wait()
    assert flaky.stop(10)
    assert ended.state is RunState.COMPLETED
    assert Counter(world.steps.steps["SEND_DICOM"].ran) == dict.fromkeys(range(20), 1)
    assert next(refusals, None) is None  # it was refused as often as it was to be


def test_nothing_is_acknowledged_before_it_is_written(world: World) -> None:
    """A worker whose database is away when it has done its jobs, and that ends then: all of them come again."""
    run = world.start(orders=4)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 4, 60, "the jobs are published")

    def away(honest: Any, finishes: Any) -> Any:
        raise Unavailable("database: connection refused")

    database: Any = broken_database(world.database, "jobs.finish", away)
    first = replace(world, database=database).worker(name="first")
    first.start()
    wait_until(lambda: len(world.steps.steps["SEND_DICOM"].ran) == 4, 60, "the jobs are done")
    assert not first.stop(grace=0.1)
    assert world.broker.depth(QUEUE).ready == 4
    second = world.worker(name="second")
    second.start()
    assert producing.wait().state is RunState.COMPLETED
    assert second.stop(10)


def test_an_outcome_that_cannot_be_written_is_that_jobs_death_alone(world: World) -> None:
    """Its group is written one by one; what is known of it is kept as a dead letter, without what could not be."""

    def finish(honest: Any, finishes: Sequence[JobFinish]) -> Any:
        if any(each.order_number == 3 and each.death is None for each in finishes):
            raise ValueError("what no database takes")
        return honest(finishes)

    together = threading.Barrier(8)

    def act(context: StepContext) -> StepResult:
        together.wait(60)
        return generated(context)

    world.steps.steps["GENERATE_DICOM"].act = act
    run = world.start(orders=8)
    database: Any = broken_database(world.database, "jobs.finish", finish)
    worker = replace(world, database=database).worker(concurrency=8)
    worker.start()
    assert Producing(world, run).wait().state is RunState.COMPLETED_WITH_ERRORS
    assert worker.stop(10)
    ends = Counter(event.event.kind for event in world.events(run, *TERMINAL_ORDER_KINDS))
    assert ends == {"order.completed": 7, "order.failed": 1}
    [letter] = letters(world)
    assert (letter.kind, letter.order_number, letter.step_type) == ("defect", 3, "GENERATE_DICOM")
    assert "what no database takes" in letter.reason and "ValueError" in letter.traceback
    assert decode_job(letter.body.encode()).order_number == 3


def test_back_pressure_holds_back_publishing_and_nothing_else(world: World) -> None:
    world.backpressure_mark = 10
    run = world.start(orders=100)
    producing = Producing(world, run)
    while sum(1 for _ in world.events(run, "step.succeeded")) < 100:
        threading.Event().wait(0.02)
    assert len(world.sender.sent) == 100
    assert world.broker.depth(QUEUE).ready <= 10
    with world.database.transaction() as work:
        assert work.outbox.waiting(run.id) >= 90
    worker = world.worker()
    worker.start()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(5)
    row, _ = world.database.queries.order(run.id, 99)
    assert row.state is OrderState.COMPLETED


def test_what_the_broker_confirmed_is_not_published_again_with_what_it_refused(world: World) -> None:
    """A queue that is full or gone for a while: the other jobs of its group must not pile up in theirs meanwhile."""
    refusals = iter([True, True])
    published: Counter[str] = Counter()
    honest = world.broker.publish

    def publish(messages: Sequence[Message]) -> None:
        refused = [message for message in messages[::2] if next(refusals, False)]
        taken = [message for message in messages if message not in refused]
        published.update(message.id for message in taken)
        honest(taken)
        if refused:
            raise PublishFailed("its queue is full", [message.id for message in refused])

    world.broker.publish = publish  # type: ignore[method-assign]
    run = world.start(orders=20)
    ended = world.run_to_end(run)
    assert ended.state is RunState.COMPLETED
    assert set(published.values()) == {1} and len(published) == 20
    assert ended.summary is not None and ended.summary["jobs"]["published"] == 20


def wait_for(subscription, count: int) -> list[Delivery]:  # type: ignore[no-untyped-def]
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        deliveries += subscription.receive(count, 1.0)
    return deliveries


def overtake(world: World, run: Run, number: int = 0) -> None:
    """What another worker does with the message that comes again: claims it, does it, finishes it."""
    request = ClaimRequest(run.id, number, (1, 2), 0, redelivered=True)
    with world.database.transaction() as work:
        [claim] = work.jobs.claim([request], "second", 60.0)
    assert claim.granted and claim.starts == 2
    outcomes = (
        StepOutcome(1, "GENERATE_DICOM", StepState.SUCCEEDED, 0.0, {"instances": 1, "bytes": 1}),
        StepOutcome(2, "SEND_DICOM", StepState.SUCCEEDED, 0.0, {"stored": 1, "bytes": 1, "c_store": [0.001]}),
    )
    finish = JobFinish(
        run.id,
        number,
        0,
        claim.head,
        claim.fence,
        claim.starts,
        QUEUE,
        "second",
        0.1,
        outcomes,
        order_state=OrderState.COMPLETED,
    )
    with world.database.transaction() as work:
        assert work.jobs.finish([finish]) == [True]
