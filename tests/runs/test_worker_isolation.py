"""Suspicious jobs run in processes of their own, which they may end; nobody else notices."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from app.domain.event import TERMINAL_ORDER_KINDS
from app.domain.run import OrderState, Run, RunState
from app.domain.work import ClaimRequest
from app.util.answering_process import AnsweringProcess, ProcessEnded, SpawnedChild
from tests.runs.conftest import QUEUE, World
from tests.runs.dangerous_steps import dangerous, environment, starts
from tests.runs.faults import Producing
from tests.runs.test_worker_retries import letters
from tests.services.processes import wait_until

COMMAND = [sys.executable, "-m", "app.worker.isolated"]


@dataclass
class Nursery:
    """Starts the real children, and counts them."""

    home: Path
    started: list[AnsweringProcess] = field(default_factory=list)

    def __call__(self) -> AnsweringProcess:
        database = f"sqlite:///{self.home / 'yeeter.db'}"
        program = SpawnedChild(COMMAND, environment(self.home, DATABASE_URL=database, RABBITMQ_URL=""))
        child = AnsweringProcess(program)
        self.started.append(child)
        return child


@pytest.fixture
def nursery(tmp_path: Path) -> Nursery:
    return Nursery(tmp_path)


@pytest.fixture
def world(world: World, nursery: Nursery) -> World:
    """Nobody looks for lost jobs, so that they are started as often as the test says."""
    return replace(world, start_child=nursery, rhythm=replace(world.rhythm, sweep=600.0))


def lose(world: World, run: Run, orders: int, times: int = 2) -> None:
    """What workers leave behind that end so often with these jobs: claims, and messages that come again."""
    wait_until(lambda: world.broker.depth(QUEUE).ready == orders, 60, "the jobs are published")
    for _ in range(times):
        with world.database.transaction() as work:
            requests = [ClaimRequest(run.id, number, (1,), 0, redelivered=True) for number in range(orders)]
            assert all(claim.granted for claim in work.jobs.claim(requests, "lost", 600.0))
    subscription = world.broker.subscribe([QUEUE], orders)
    while subscription.receive(orders, 0.1):
        pass
    subscription.close()


def test_a_job_that_ends_its_process_is_dead_at_its_fifth_start_and_the_others_are_done(
    world: World, nursery: Nursery, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    run = world.start(orders=4, steps=dangerous(log, killing=[1]))
    producing = Producing(world, run)
    lose(world, run, orders=4)
    worker = world.worker(concurrency=1)
    worker.start()
    wait_until(lambda: producing.is_over, 250, "the run ends")  # four processes are started for it
    ended = producing.wait()
    assert worker.stop(10)
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    [letter] = letters(world)
    assert (letter.kind, letter.order_number) == ("crashed", 1)
    assert letter.reason == "its process ended by SIGKILL; it ended 3 processes of its own"
    _, [_, step] = world.database.queries.order(run.id, 1)
    assert step.starts == 5
    ends = [event.event.order_number for event in world.events(run, *TERMINAL_ORDER_KINDS)]
    assert sorted(number or 0 for number in ends) == [0, 1, 2, 3]
    causes = [(e.event.data["cause"], e.event.data["delay_seconds"]) for e in world.events(run, "step.retried")]
    assert causes == [("crash", 1.0), ("crash", 2.0)]
    ran = starts(log)
    assert {number: len(processes) for number, processes in ran.items()} == {0: 1, 1: 3, 2: 1, 3: 1}
    assert not {os.getpid()} & {process for processes in ran.values() for process in processes}
    assert len(set(ran[1])) == 3  # the one that was shared, and two of its own
    assert ran[2] == ran[3] != ran[0]  # the innocent ones share what is left
    assert worker.jobs_isolated == 3
    assert not any(child.is_usable for child in nursery.started)


def test_a_job_that_hangs_in_its_process_is_ended_with_it(world: World, tmp_path: Path) -> None:
    limits = {"timeout": 0.5, "retry": {"max_attempts": 1}}
    run = world.start(orders=2, steps=dangerous(tmp_path / "log", hanging=[0], **limits))
    producing = Producing(world, run)
    lose(world, run, orders=2)
    worker = world.worker(concurrency=1, step_grace=0.1)
    worker.start()
    assert producing.wait().state is RunState.COMPLETED_WITH_ERRORS
    assert worker.stop(10)
    [letter] = letters(world)
    assert (letter.kind, letter.order_number) == ("exhausted", 0)
    assert letter.reason == "did not end within 0.5 s, and was left behind (attempt 1 of 1)"
    assert worker.hands_lost == 0


def test_without_a_process_of_its_own_a_job_waits_and_is_not_to_blame(
    world: World, nursery: Nursery, tmp_path: Path
) -> None:
    refusals = [OSError("too many processes"), OSError("too many processes")]

    def start() -> AnsweringProcess:
        if refusals:
            raise refusals.pop()
        return nursery()

    world = replace(world, start_child=start)
    run = world.start(orders=1, steps=dangerous(tmp_path / "log"))
    producing = Producing(world, run)
    lose(world, run, orders=1)
    worker = world.worker()
    worker.start()
    assert producing.wait().state is RunState.COMPLETED
    assert worker.stop(10)
    retried = [event.event.data for event in world.events(run, "step.retried")]
    assert [each["cause"] for each in retried] == ["transport"] * 2
    assert "could not be started: too many processes" in retried[0]["reason"]


def test_a_suspicious_job_of_a_cancelled_run_needs_no_process(world: World, nursery: Nursery, tmp_path: Path) -> None:
    run = world.start(orders=1, steps=dangerous(tmp_path / "log"))
    producing = Producing(world, run)
    lose(world, run, orders=1)
    with world.database.transaction() as work:
        work.runs.move(run.id, RunState.CANCELLING, "cancelled on request")
    worker = world.worker()
    worker.start()
    assert producing.wait().state is RunState.CANCELLED
    assert worker.stop(10)
    assert not nursery.started
    row, _ = world.database.queries.order(run.id, 0)
    assert row.state is OrderState.CANCELLED


def test_a_child_ends_with_its_parent(nursery: Nursery) -> None:
    child = nursery()
    assert child.receive(120) == b"ready\n"
    assert child._process.stdin is not None
    child._process.stdin.close()  # as the end of the parent does
    with pytest.raises(ProcessEnded, match="exit code 0"):
        child.receive(120)
