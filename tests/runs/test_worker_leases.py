"""A worker keeps what it is at, however long that takes, and does not begin what others have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.domain.run import RunState
from app.ports import StepContext, StepResult
from tests.runs.broken import broken_database
from tests.runs.conftest import QUEUE, World
from tests.runs.fakes import generated
from tests.runs.faults import Producing
from tests.runs.test_worker import overtake
from tests.services.processes import wait_until

LEASE = 0.4  # seconds; nobody here looks for leases that have run out


class Slow:
    """A step that takes as long as it is let."""

    def __init__(self) -> None:
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self, context: StepContext) -> StepResult:
        self.begun.set()
        assert self.release.wait(120)
        return generated(context)


@pytest.fixture
def unswept(world: World) -> World:
    return replace(world, rhythm=replace(world.rhythm, sweep=600.0))


@pytest.fixture
def slow(world: World) -> Iterator[Slow]:
    act = world.steps.steps["GENERATE_DICOM"].act = Slow()
    yield act
    act.release.set()


def test_the_leases_of_all_that_is_claimed_are_prolonged(unswept: World, slow: Slow) -> None:
    """Of the job that runs, and of the one that waits behind it."""
    renewals: list[list[bool]] = []

    def renew(honest: Callable[..., Any], claims: Any, seconds: float) -> Any:
        assert seconds == LEASE
        renewals.append(honest(claims, seconds))
        return renewals[-1]

    run = unswept.start(orders=2)
    producing = Producing(unswept, run)
    wait_until(lambda: unswept.broker.depth(QUEUE).ready == 2, 60, "the jobs are published")
    database: Any = broken_database(unswept.database, "jobs.renew", renew)
    worker = replace(unswept, database=database).worker(concurrency=1, lease=LEASE)
    worker.start()
    wait_until(lambda: renewals.count([True, True]) >= 3, 60, "both are prolonged, again and again")
    slow.release.set()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)
    assert [event.event.starts for event in unswept.events(run, "job.started")] == [1, 1]


def test_what_was_given_to_another_meanwhile_is_not_begun(unswept: World, slow: Slow) -> None:
    """As by a worker that was frozen: its messages have come again elsewhere."""
    run = unswept.start(orders=2)
    producing = Producing(unswept, run)
    wait_until(lambda: unswept.broker.depth(QUEUE).ready == 2, 60, "the jobs are published")
    frozen = unswept.worker(name="frozen", concurrency=1, lease=LEASE)
    frozen.start()
    assert slow.begun.wait(60)
    wait_until(lambda: frozen.running == 2, 60, "both are claimed")
    ran = unswept.steps.steps["GENERATE_DICOM"].ran
    [running] = ran
    overtake(unswept, run, 1 - running)
    threading.Event().wait(LEASE)  # until a claim is looked at again before it is begun
    slow.release.set()
    assert producing.wait().state is RunState.COMPLETED
    wait_until(lambda: frozen.running == 0, 60, "it has nothing left")
    assert frozen.stop(10)
    assert ran == [running]
    assert unswept.broker.depth(QUEUE).ready == 0
