"""Messages that are no jobs, and those that the broker gives up: kept or published again, and never in the way."""

from __future__ import annotations

from dataclasses import replace

from app.adapters.broker.in_process import InProcessBroker
from app.domain.retry import MAX_LOST_STARTS
from app.domain.run import Run, RunState
from app.domain.work import Claim, ClaimRequest
from app.ports import DEAD_QUEUE, Message
from app.runs.working.dead_queue import MAX_BODY
from tests.runs.conftest import QUEUE, World
from tests.runs.faults import Producing
from tests.runs.test_worker_retries import letters
from tests.services.processes import wait_until


def claim(world: World, run: Run, redelivered: bool = True) -> Claim:
    """As a worker does that ends a moment later."""
    with world.database.transaction() as work:
        [claim] = work.jobs.claim([ClaimRequest(run.id, 0, (1, 2), 0, redelivered)], "lost", 60.0)
    return claim


def published(world: World, run: Run, orders: int = 1) -> Producing:
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == orders, 60, "the jobs are published")
    return producing


def test_what_is_no_job_is_kept_and_the_next_one_done(world: World) -> None:
    bodies = [b"{not json", b'{"specversion":"1.0"}', b"\x00\xff\xfe", b"9" * (MAX_BODY + 1), b"[]"]
    world.broker.publish([Message(f"junk-{place}", QUEUE, body) for place, body in enumerate(bodies)])
    assert world.run_to_end(world.start(orders=3)).state is RunState.COMPLETED
    kept = letters(world)
    assert [(letter.kind, letter.queue, letter.run_id) for letter in kept] == [("not_a_job", QUEUE, None)] * 5
    assert [letter.job_id for letter in kept] == [f"junk-{place}" for place in range(5)]
    assert kept[0].body == "{not json" and kept[2].body == "\ufffd" * 3
    assert len(kept[3].body) == MAX_BODY
    assert all(letter.reason for letter in kept)
    assert world.broker.depth(QUEUE).ready == 0


def test_a_job_that_the_broker_gave_up_is_published_again(world: World) -> None:
    world = replace(world, broker=InProcessBroker(delivery_limit=1))
    world.broker.declare([QUEUE])
    run = world.start(orders=1)
    producing = published(world, run)
    world.broker.publish([Message("junk", QUEUE, b"no job")])
    for _ in range(2):  # two workers that end with it
        subscription = world.broker.subscribe([QUEUE], 10)
        assert len(subscription.receive(10, 1.0)) == 2
        subscription.close()
    assert world.broker.depth(DEAD_QUEUE).ready == 2
    worker = world.worker()
    worker.start()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)
    assert world.broker.depth(DEAD_QUEUE).ready == 0
    [letter] = letters(world)
    assert (letter.kind, letter.queue, letter.job_id, letter.body) == ("not_a_job", QUEUE, "junk", "no job")
    assert world.steps.steps["SEND_DICOM"].ran == [0]
    world.broker.close()


def test_a_finished_job_that_the_broker_gave_up_is_done_with(world: World) -> None:
    world = replace(world, broker=InProcessBroker(delivery_limit=0))
    world.broker.declare([QUEUE])
    run = world.start(orders=1)
    producing = published(world, run)
    subscription = world.broker.subscribe([QUEUE], 10)
    [delivery] = subscription.receive(10, 1.0)
    world.broker.publish([Message(delivery.message_id, QUEUE, delivery.body)])
    worker = world.worker()
    worker.start()
    assert producing.wait().state is RunState.COMPLETED
    subscription.close()  # the copy that it had comes back once too often
    wait_until(lambda: world.broker.depth(DEAD_QUEUE).ready == 0, 60, "the dead queue is empty")
    assert worker.stop(10)
    with world.database.transaction() as work:
        assert work.outbox.waiting(run.id) == 0
    assert not letters(world)
    assert world.steps.steps["SEND_DICOM"].ran == [0]
    world.broker.close()


def test_a_job_whose_workers_always_end_is_dead_without_another_start(world: World) -> None:
    run = world.start(orders=1)
    producing = published(world, run)
    assert all(claim(world, run).granted for _ in range(MAX_LOST_STARTS))
    subscription = world.broker.subscribe([QUEUE], 1)
    assert subscription.receive(1, 1.0)
    subscription.close()  # so that it comes redelivered
    worker = world.worker()
    worker.start()
    assert producing.wait().state is RunState.FAILED
    assert worker.stop(10)
    [letter] = letters(world)
    assert (letter.kind, letter.order_number) == ("undeliverable", 0)
    assert f"started {MAX_LOST_STARTS} times" in letter.reason
    assert world.steps.steps["GENERATE_DICOM"].ran == []
