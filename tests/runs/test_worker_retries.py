"""What a worker does with a step that did not succeed: again by the policy, parked, or dead."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from app.domain.errors import PermanentError, TemporaryError, TransportFault
from app.domain.job import decode_job
from app.domain.run import OrderState, Run, RunState, StepState
from app.domain.work import DeadLetterFilter, DeadLetterRow, DestinationState
from app.ports import StepContext, StepResult
from tests.runs.conftest import STEPS, World
from tests.runs.fakes import stored

QUICK = {"max_attempts": 3, "first_delay": 0.0, "factor": 2.0}


def steps(**retry: Any) -> list[dict[str, Any]]:
    """SEND_DICOM with this policy."""
    return [*STEPS[:2], STEPS[2] | {"retry": retry}]


def letters(world: World) -> list[DeadLetterRow]:
    with world.database.transaction() as work:
        return [work.dead_letters.get(id_) for id_ in work.dead_letters.matching(DeadLetterFilter(), 100)]


def retried(world: World, run: Run) -> list[tuple[str, float, str]]:
    data = [event.event.data for event in world.events(run, "step.retried")]
    return [(each["cause"], each["delay_seconds"], each["reason"]) for each in data]


class Sends:
    """SEND_DICOM that raises what is next, and then stores."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.contexts: list[StepContext] = []

    def __call__(self, context: StepContext) -> StepResult:
        self.contexts.append(context)
        if self._errors:
            raise self._errors.pop(0)
        return stored(context)


def test_a_verdict_that_may_change_is_asked_for_again_by_the_policy(world: World) -> None:
    sends = Sends(TemporaryError("0xC000"), TemporaryError("0xC001"))
    world.steps.steps["SEND_DICOM"].act = sends
    run = world.start(orders=1, steps=steps(max_attempts=3, first_delay=0.5, factor=4.0))
    ended = world.run_to_end(run)
    assert ended.state is RunState.COMPLETED
    assert retried(world, run) == [("verdict", 1.0, "0xC000"), ("verdict", 2.0, "0xC001")]
    assert world.steps.steps["GENERATE_DICOM"].ran == [0]  # what has succeeded is not done again
    started = [event.at for event in world.events(run, "job.started")]
    waits = [(later - before).total_seconds() for before, later in pairwise(started)]
    assert len(waits) == 2 and waits[0] >= 1.0 and waits[1] >= 2.0
    _, rows = world.database.queries.order(run.id, 0)
    assert [(row.state, row.attempt) for row in rows[2:]] == [(StepState.SUCCEEDED, 3)]
    assert [context.earlier_unknown for context in sends.contexts] == [False, True, True]
    assert ended.summary is not None
    assert ended.summary["jobs"] == {"published": 3, "succeeded": 1, "retried": 2, "dead_lettered": 0}
    assert ended.summary["orders"]["completed"] == 1 and ended.summary["dicom"]["failed"] == 0


def test_when_the_attempts_are_used_up_the_job_is_dead(world: World) -> None:
    def act(context: StepContext) -> StepResult:
        if context.order.number == 1:
            raise TemporaryError("0xC000")
        return stored(context)

    world.steps.steps["SEND_DICOM"].act = act
    run = world.start(orders=3, steps=steps(max_attempts=2, first_delay=0.0))
    ended = world.run_to_end(run)
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    [letter] = letters(world)
    assert (letter.kind, letter.reason) == ("exhausted", "0xC000 (attempt 2 of 2)")
    assert (letter.run_id, letter.order_number, letter.step_index) == (run.id, 1, 2)
    job = decode_job(letter.body.encode())  # as it would go on
    assert [entry.type for entry in job.slip] == ["SEND_DICOM"]
    row, rows = world.database.queries.order(run.id, 1)
    assert (row.state, row.reason) == (OrderState.FAILED, "SEND_DICOM: 0xC000 (attempt 2 of 2)")
    assert [step.state for step in rows] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
    assert ended.summary is not None
    assert (ended.summary["jobs"]["retried"], ended.summary["jobs"]["dead_lettered"]) == (1, 1)


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (PermanentError("0xA900"), "permanent", "0xA900"),
        (ZeroDivisionError("oops"), "defect", "defect: ZeroDivisionError('oops')"),
    ],
)
def test_what_will_never_succeed_is_dead_at_once(world: World, error: Exception, kind: str, reason: str) -> None:
    world.steps.steps["GENERATE_DICOM"].act = Sends(error)
    run = world.start(orders=1)
    ended = world.run_to_end(run)
    assert ended.state is RunState.FAILED
    [letter] = letters(world)
    assert (letter.kind, letter.reason, letter.step_type) == (kind, reason, "GENERATE_DICOM")
    assert ("ZeroDivisionError" in letter.traceback) is (kind == "defect")
    assert not world.events(run, "step.retried")
    assert world.steps.steps["GENERATE_DICOM"].ran == [0] and world.steps.steps["SEND_DICOM"].ran == []


def test_a_step_type_that_a_worker_lacks_is_asked_of_another(world: World) -> None:
    run = world.start(orders=1, steps=[*STEPS[:2], {"type": "DANGEROUS", "retry": {"max_attempts": 2}}])
    assert world.run_to_end(run).state is RunState.FAILED
    assert len(world.events(run, "step.retried")) == 1
    [letter] = letters(world)
    assert "this worker has no step type 'DANGEROUS'" in letter.reason


def test_a_fault_costs_no_attempt(world: World) -> None:
    faults = [TransportFault("connection refused") for _ in range(4)]
    world.steps.steps["SEND_DICOM"].act = Sends(*faults)
    run = world.start(orders=1, steps=steps(max_attempts=1))
    assert world.run_to_end(run).state is RunState.COMPLETED
    assert retried(world, run) == [("transport", 1.0, "connection refused")] * 4
    assert not letters(world)
    _, rows = world.database.queries.order(run.id, 0)
    assert rows[2].attempt == 1


def test_a_fault_outlasts_the_patience_of_the_step(world: World) -> None:
    world.steps.steps["SEND_DICOM"].act = Sends(*(TransportFault("connection refused") for _ in range(9)))
    run = world.start(orders=1, steps=steps(patience=1.5))
    assert world.run_to_end(run).state is RunState.FAILED
    [letter] = letters(world)
    assert letter.kind == "exhausted"
    assert "connection refused (no verdict for" in letter.reason and "patience is 1.5 s" in letter.reason


def test_an_archive_that_goes_away_parks_the_jobs_and_they_flow_again(world: World) -> None:
    """None dies, none spends an attempt, and none goes on asking while it is away."""
    orders = 40
    away, asked = [True], []

    def act(context: StepContext) -> StepResult:
        away[0] = away[0] and not world.database.queries.parked(context.run_id)  # once jobs are parked it comes back
        if not away[0]:
            return stored(context)
        asked.append(context.order.number)
        raise TransportFault("connection refused")

    world.steps.steps["SEND_DICOM"].act = act
    run = world.start(orders=orders, steps=steps(max_attempts=1))
    ended = world.run_to_end(run)
    assert ended.state is RunState.COMPLETED
    assert not letters(world)
    assert world.events(run, "step.parked")
    assert len(asked) <= orders + 4  # the fifth fault opens the breaker
    for number in range(orders):
        _, rows = world.database.queries.order(run.id, number)
        assert [(row.state, row.attempt) for row in rows[1:]] == [("SUCCEEDED", 1)] * 2
    with world.database.transaction() as work:
        known = work.destinations.get("dicom:ARCHIVE@127.0.0.1:104")
    assert known is not None and known.state is DestinationState.CLOSED


def test_an_archive_that_rejects_us_for_good_is_parked_for_at_once_with_its_reason(world: World) -> None:
    refusal = TransportFault("called AE title not recognized", misconfigured=True)
    world.steps.steps["SEND_DICOM"].act = Sends(refusal)
    run = world.start(orders=1)
    assert world.run_to_end(run).state is RunState.COMPLETED
    [parked] = [event.event.data for event in world.events(run, "step.parked")]
    assert (parked["for"], parked["reason"]) == ("dicom:ARCHIVE@127.0.0.1:104", "called AE title not recognized")
