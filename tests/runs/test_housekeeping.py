"""What a producer sees to beside its orders: parked and lost jobs, the broker's trouble, and telling people of it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.domain.errors import Unavailable
from app.domain.job import decode_job
from app.domain.run import OrderState, Run, RunState
from app.domain.work import ClaimRequest, DestinationState
from app.ports import Message, StepContext, StepResult, UnitOfWork
from app.runs.jobs import JobBuilder
from app.runs.producing.lease import Lease
from app.runs.producing.notes import Notes
from app.runs.start import template_of
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.fakes import FakeStep
from tests.runs.faults import Producing
from tests.runs.test_cancel import adds_up
from tests.services.processes import wait_until

ARCHIVE = "dicom:ARCHIVE@127.0.0.1:104"


def throw_away_messages(world: World) -> int:
    """What an operator does who empties a queue by the broker's own tools."""
    subscription = world.broker.subscribe([QUEUE], 10_000)
    deliveries = subscription.receive(10_000, 0.1)
    subscription.acknowledge(deliveries)
    subscription.close()
    return len(deliveries)


def finish(world: World, producing: Producing) -> Run:
    worker = world.worker()
    worker.start()
    try:
        return producing.wait()
    finally:
        worker.stop(10)


# --- the sweeper ------------------------------------------------------------------------------------------------------


def test_jobs_whose_messages_were_thrown_away_are_published_again(world: World) -> None:
    run = world.start(orders=40)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 40, 60, "the jobs")
    assert throw_away_messages(world) == 40
    wait_until(lambda: world.broker.depth(QUEUE).ready == 40, 60, "the jobs to be published again")
    ended = finish(world, producing)
    assert (ended.state, adds_up(ended)["completed"]) == (RunState.COMPLETED, 40)
    assert Counter(world.steps.steps["SEND_DICOM"].ran) == dict.fromkeys(range(40), 1)


def test_jobs_that_wait_in_a_long_queue_are_not_lost(world: World) -> None:
    """They look the same to their rows; published again and again they would fill the queue."""
    run = world.start(orders=10)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 10, 60, "the jobs")
    producing._thread.join(10 * world.rhythm.quiet)
    assert world.broker.depth(QUEUE).ready == 10
    assert finish(world, producing).state is RunState.COMPLETED


def test_a_job_whose_worker_is_gone_is_published_again_when_its_lease_has_run_out(world: World) -> None:
    run = world.start(orders=3)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 3, 60, "the jobs")
    throw_away_messages(world)
    requests = [ClaimRequest(run.id, number, (1, 2), 0, redelivered=False) for number in range(3)]
    with world.database.transaction() as work:
        assert all(claim.granted for claim in work.jobs.claim(requests, "gone", 0.2))
    ended = finish(world, producing)
    assert (ended.state, adds_up(ended)["completed"]) == (RunState.COMPLETED, 3)


# --- parked jobs ------------------------------------------------------------------------------------------------------


def report(world: World, fault: str, times: int = 1) -> None:
    for _ in range(times):
        with world.database.transaction() as work:
            work.destinations.report(ARCHIVE, fault)


def parked(world: World, run: Run) -> dict[str, int]:
    return {count.waiting_for: count.jobs for count in world.database.queries.parked(run.id)}


def test_jobs_of_a_destination_that_is_away_wait_and_go_on_when_it_answers(world: World) -> None:
    """One at a time is sent to find out; nobody else starts, and people are told once."""
    run = world.start(orders=30)
    report(world, "connection refused", times=5)
    producing = Producing(world, run)
    worker = world.worker()
    worker.start()
    wait_until(lambda: parked(world, run).get(ARCHIVE, 0) >= 29, 60, "the jobs to be parked")
    wait_until(lambda: bool(world.notes(run)), 60, "a note")
    ended = producing.wait()  # the first probe that gets through closes the circuit, and all go on
    assert worker.stop(10)
    assert (ended.state, adds_up(ended)["completed"]) == (RunState.COMPLETED, 30)
    away, there = [note for note in world.notes(run) if note.startswith("the archive ")]
    assert away.startswith("the archive ARCHIVE@127.0.0.1:104 does not answer (connection refused): ")
    assert away.endswith("jobs wait; asking every 5 s")
    assert there == "the archive ARCHIVE@127.0.0.1:104 answers again"
    with world.database.transaction() as work:
        row = work.destinations.get(ARCHIVE)
        assert row is not None and row.state is DestinationState.CLOSED


def test_jobs_that_wait_for_a_destination_the_run_no_longer_has_go_on(world: World) -> None:
    """Embedded, a run that is taken over has a new built-in receiver, at another port."""
    run = world.start(orders=4)
    report(world, "connection refused", times=5)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 4, 60, "the jobs")
    old = "dicom:YEETER@127.0.0.1:1"
    with world.database.transaction() as work:
        for _ in range(5):
            work.destinations.report(old, "gone")
    report(world, "")
    throw_away_messages(world)
    requests = [ClaimRequest(run.id, number, (1, 2), 0, redelivered=False, destination=old) for number in range(4)]
    with world.database.transaction() as work:
        assert {claim.refusal for claim in work.jobs.claim(requests, "w", 60.0)} == {"parked"}
    assert finish(world, producing).state is RunState.COMPLETED


# --- the relay --------------------------------------------------------------------------------------------------------


class TroubledBroker(InProcessBroker):
    """Refuses to publish until it is mended."""

    def __init__(self) -> None:
        super().__init__()
        self.mended = threading.Event()

    def publish(self, messages: Any) -> None:
        if not self.mended.is_set():
            raise Unavailable("RabbitMQ at mq:5672: memory alarm")
        super().publish(messages)


def test_the_brokers_trouble_is_told_once_and_its_end_too(world: World) -> None:
    broker = TroubledBroker()
    broker.declare([QUEUE])
    world.broker = broker
    run = world.start(orders=10)
    producing = Producing(world, run)
    wait_until(lambda: any("waiting for 10 orders" in note for note in world.notes(run)), 60, "what it waits for")
    broker.mended.set()
    ended = finish(world, producing)
    assert ended.state is RunState.COMPLETED
    notes = world.notes(run)
    assert notes.count("jobs can't be published: RabbitMQ at mq:5672: memory alarm") == 1
    assert notes.count("jobs are published again") == 1
    waiting = next(note for note in notes if note.startswith("waiting for 10 orders: "))
    assert "jobs can't be published: RabbitMQ at mq:5672: memory alarm" in waiting


def test_no_transaction_is_open_while_the_broker_is_waited_for(world: World) -> None:
    """Neither would others get to write, nor would readers see an event, as long as the broker does not answer."""
    open_, publishing, go_on = Counter[str](), threading.Event(), threading.Event()
    relay_transactions: list[int] = []

    class Watched:
        queries, feed = world.database.queries, world.database.feed

        @contextmanager
        def transaction(self) -> Iterator[UnitOfWork]:
            name = threading.current_thread().name
            with steady.transaction() as work:
                open_[name] += 1
                try:
                    yield work
                finally:
                    open_[name] -= 1

    class Slow(InProcessBroker):
        def publish(self, messages: Any) -> None:
            relay_transactions.append(open_[threading.current_thread().name])
            publishing.set()
            assert go_on.wait(60)
            super().publish(messages)

    steady = world.database
    world.database = cast(Any, Watched())
    world.broker = Slow()
    world.broker.declare([QUEUE])
    run = world.start(orders=5)
    producing = Producing(world, run)
    assert publishing.wait(60)
    go_on.set()
    assert finish(world, producing).state is RunState.COMPLETED
    assert set(relay_transactions) == {0}


@pytest.mark.parametrize("mark", [1, 7])
def test_back_pressure_counts_what_is_out_and_nothing_else(world: World, mark: int) -> None:
    most = 0

    class Watching(InProcessBroker):
        def publish(self, messages: Any) -> None:
            nonlocal most
            super().publish(messages)
            with world.database.transaction() as work:
                counts = work.orders.counts(run.id)
                most = max(most, counts[OrderState.WAITING] - work.outbox.waiting(run.id) + len(messages))

    world.broker = Watching()
    world.broker.declare([QUEUE])
    world.backpressure_mark = mark
    run = world.start(orders=5 * mark)
    ended = finish(world, Producing(world, run))
    assert (ended.state, adds_up(ended)["completed"]) == (RunState.COMPLETED, 5 * mark)
    assert 0 < most <= mark


def test_a_waiting_job_does_not_count_as_out(world: World) -> None:
    """Three jobs wait for their time in the outbox; with room for one, the others still get through."""
    world.backpressure_mark = 1
    world.steps.steps["WAIT"] = FakeStep(lambda context: StepResult({"wait_seconds": 1.0}, wait_seconds=1.0))
    run = world.start(orders=3, steps=[*STEPS[:2], {"type": "WAIT"}, STEPS[2]])
    assert finish(world, Producing(world, run)).state is RunState.COMPLETED


# --- a run that waits says why ----------------------------------------------------------------------------------------


def test_a_run_without_workers_says_what_it_waits_for_once(world: World) -> None:
    run = world.start(orders=6)
    producing = Producing(world, run)
    text = f"waiting for 6 orders: queue {QUEUE} has 6 messages and no consumers"
    wait_until(lambda: text in world.notes(run), 60, "what it waits for")
    producing._thread.join(5 * world.rhythm.stall)
    assert world.notes(run).count(text) == 1
    assert finish(world, producing).state is RunState.COMPLETED


def test_jobs_that_are_with_workers_are_said_to_be(world: World) -> None:
    go_on = threading.Event()

    def act(context: StepContext) -> StepResult:
        assert go_on.wait(60)
        return StepResult({"instances": 1, "bytes": 1})

    world.steps.steps["GENERATE_DICOM"].act = act
    run = world.start(orders=2)
    worker = world.worker()
    worker.start()
    producing = Producing(world, run)
    wait_until(lambda: "waiting for 2 orders: 2 jobs are claimed by workers" in world.notes(run), 60, "the note")
    go_on.set()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)


def test_notes_are_told_once_a_topic_and_again_when_there_is_news(world: World) -> None:
    run = world.start()
    heard: list[str] = []
    with Lease(world.database, run.id, 60) as lease:
        notes = Notes(lease, heard.append)
        notes.end("a", "never begun")
        for text in ("one", "two"):
            notes.begin("a", text)
        notes.end("a", "over")
        notes.begin("a", "one")
        for text in ("one", "one", "two"):
            notes.tell("b", text)
        notes.end("b")
        notes.tell("b", "two")
    assert heard == world.notes(run) == ["one", "over", "one", "one", "two", "two"]


def test_a_lease_that_could_not_be_renewed_is_told_of(world: World) -> None:
    """The database was away for the heartbeat; nobody took the run over meanwhile."""
    away = threading.Event()

    class Flaky:
        queries, feed = world.database.queries, world.database.feed

        @contextmanager
        def transaction(self) -> Iterator[UnitOfWork]:
            if away.is_set():
                raise Unavailable("database: connection refused")
            with steady.transaction() as work:
                yield work

    steady = world.database
    world.database = cast(Any, Flaky())
    run = world.start(orders=3)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 3, 60, "the jobs")
    away.set()
    producing._thread.join(1.6)
    away.clear()
    wait_until(lambda: any("the lease could not be renewed" in note for note in world.notes(run)), 60, "the note")
    assert finish(world, producing).state is RunState.COMPLETED


# --- jobs anew --------------------------------------------------------------------------------------------------------


def test_a_job_that_is_built_anew_says_the_same(world: World) -> None:
    world.rhythm = replace(world.rhythm, quiet=60.0)  # the sweeper leaves them to us
    run = world.start(orders=2, steps=[*STEPS[:2], STEPS[2] | {"retry": {"max_attempts": 7}}])
    producing = Producing(world, run)
    wait_until(lambda: len(world.events(run, "job.queued")) == 2, 60, "the jobs")
    subscription = world.broker.subscribe([QUEUE], 10)
    published = subscription.receive(10, 1.0)
    builder = JobBuilder(run, template_of(run), QUEUE)
    with world.database.transaction() as work:
        lost, _ = work.jobs.lost(run.id, 0.0, -1, 10)
        work.outbox.put(builder.entries(lost))
        taken = work.outbox.take(run.id, 10)
    assert sorted(each.body for each in published) == sorted(builder.body(message) for message in taken)
    assert decode_job(published[0].body).slip[1].retry.max_attempts == 7
    world.broker.publish([Message(each.message_id, QUEUE, each.body) for each in published])
    subscription.close()
    assert finish(world, producing).state is RunState.COMPLETED
