"""Steps that ignore their time limits: their jobs end without them, and their threads are counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.domain.run import OrderState, RunState
from app.domain.work import DeadLetterRow
from app.ports import StepContext, StepResult
from tests.runs.conftest import STEPS, World
from tests.runs.fakes import generated
from tests.runs.faults import Producing
from tests.runs.test_worker_retries import letters
from tests.services.processes import wait_until


class Hanging:
    """GENERATE_DICOM that hangs for these orders until it is released."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self.release = threading.Event()
        self.came_back: list[int] = []

    def __call__(self, context: StepContext) -> StepResult:
        if context.order.number in self.numbers:
            self.release.wait(120)
            self.came_back.append(context.order.number)
        return generated(context)


@pytest.fixture
def hanging(world: World) -> Iterator[Hanging]:
    act = world.steps.steps["GENERATE_DICOM"].act = Hanging(1)
    yield act
    act.release.set()


def steps(attempts: int) -> list[dict[str, object]]:
    limits = {"timeout": 0.2, "retry": {"max_attempts": attempts, "first_delay": 0.0}}
    return [STEPS[0], STEPS[1] | limits, STEPS[2]]


def test_the_job_of_a_step_that_hangs_ends_without_it(world: World, hanging: Hanging) -> None:
    run = world.start(orders=20, steps=steps(attempts=2))
    worker = world.worker(concurrency=3, step_grace=0.1)
    worker.start()
    ended = Producing(world, run).wait()
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    [letter] = letters(world)
    assert_did_not_end(letter, "(attempt 2 of 2)")
    assert ended.summary is not None and ended.summary["orders"]["completed"] == 19
    assert worker.hands_lost == 2 and worker.is_alive
    hanging.release.set()
    wait_until(lambda: worker.hands_lost == 0, 60, "the threads come back")
    assert worker.stop(10)
    assert hanging.came_back == [1, 1]
    assert 1 not in world.steps.steps["SEND_DICOM"].ran  # what came of it later counts for nothing
    row, _ = world.database.queries.order(run.id, 1)
    assert row.state is OrderState.FAILED


def test_a_worker_that_has_lost_all_its_hands_is_at_its_end(world: World, hanging: Hanging) -> None:
    hanging.numbers = (0, 1)
    run = world.start(orders=4, steps=steps(attempts=1))
    worker = world.worker(concurrency=2, step_grace=0.1)
    producing = Producing(world, run)
    worker.start()
    wait_until(lambda: not worker.is_alive, 60, "it says that it is at its end")
    assert "2 steps ignored their time limits" in worker.trouble
    with pytest.raises(RuntimeError, match="started anew"):
        worker.check()
    assert worker.stop(10)  # what the others did, and that those two are dead, is written
    again = world.worker()
    again.start()
    assert producing.wait().state is RunState.COMPLETED_WITH_ERRORS
    assert again.stop(10)
    assert sorted(letter.order_number or 0 for letter in letters(world)) == [0, 1]


def assert_did_not_end(letter: DeadLetterRow, words: str) -> None:
    assert (letter.kind, letter.order_number) == ("exhausted", 1)
    assert letter.reason == f"did not end within 0.2 s, and was left behind {words}"
