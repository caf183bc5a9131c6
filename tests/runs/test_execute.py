"""Running one claimed job: which step is to blame, and what the destination is said to have done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.errors import PermanentError, TemporaryError, TransportFault
from app.domain.job import Job, SlipEntry, decode_job, job_id
from app.domain.retry import RetryPolicy
from app.domain.run import OrderState, StepState
from app.domain.work import Claim, DestinationReport, JobFinish
from app.ports import StepContext, StepResult
from app.runs.working.execute import JobRunner, destination_of
from tests.runs.fakes import FakeStep, FakeSteps, generated, stored
from tests.unit.sample_orders import orders

RUN = "6c4d9b1e-0000-4000-8000-000000000001"
KEY = "dicom:ARCHIVE@127.0.0.1:104"
CLAIM = Claim(granted=True, head=1, fence="f", starts=1)


def a_job(*types: str, queues: tuple[str, ...] = (), epoch: int = 0, **contents: Any) -> Job:
    [order] = orders(1, modalities={"CT": 1})
    queue_of = dict(enumerate(queues, 1))
    policy = RetryPolicy(max_attempts=2)
    slip = tuple(
        SlipEntry(index, type_, queue_of.get(index, "jobs"), {}, 60.0, policy) for index, type_ in enumerate(types, 1)
    )
    whole: dict[str, Any] = {
        "patient_context": order.patient_context,
        "order_context": order.order_context,
        "dicom": {"aet": "ARCHIVE", "host": "127.0.0.1", "port": 104},
    }
    id_ = job_id(RUN, 0, 1, epoch)
    return Job(id_, RUN, "7K3QX0AB", 0, epoch, slip, **(whole | contents), template={})


def fails(error: BaseException) -> FakeStep:
    def act(context: StepContext) -> StepResult:
        raise error

    return FakeStep(act)


def run(
    job: Job, claim: Claim = CLAIM, is_cancelled: Callable[[str], bool] = lambda run_id: False, **steps: FakeStep
) -> JobFinish:
    source = FakeSteps({"GENERATE_DICOM": FakeStep(generated), "SEND_DICOM": FakeStep(stored)} | steps)
    finish = JobRunner(source, "w", is_cancelled, lambda *_: True).begin(job, claim).run()
    assert finish is not None
    return finish


def states(finish: JobFinish) -> list[tuple[int, StepState]]:
    return [(step.step_index, step.state) for step in finish.steps]


def test_the_attempts_of_the_head_are_not_those_of_the_step_behind_it() -> None:
    """The claim knows how often the head had a verdict: for the next step it is the first one."""
    job = a_job("GENERATE_DICOM", "SEND_DICOM", "VERIFY")
    claim = replace(CLAIM, starts=4, attempts=1, waited_seconds=1e6)
    head = run(job, claim, GENERATE_DICOM=fails(TemporaryError("disk full")))
    assert head.death is not None and head.death.kind == "exhausted"
    behind = run(job, claim, SEND_DICOM=fails(TemporaryError("0xC000")))
    assert behind.death is None and behind.following is not None
    assert states(behind) == [(1, StepState.SUCCEEDED), (2, StepState.READY)]
    assert behind.following.step_index == 2
    assert (behind.following.starts, behind.following.delay_seconds) == (4, 1.0)
    assert behind.order_state is None and behind.head == 1
    patient = run(job, claim, SEND_DICOM=fails(TransportFault("away")))
    assert patient.death is None


def test_a_dead_job_cancels_what_is_left_and_keeps_how_it_would_go_on() -> None:
    job = a_job("GENERATE_DICOM", "SEND_DICOM", "VERIFY", queues=("jobs", "jobs", "elsewhere"))
    finish = run(job, SEND_DICOM=fails(PermanentError("0xA900")))
    assert states(finish) == [(1, StepState.SUCCEEDED), (2, StepState.FAILED), (3, StepState.CANCELLED)]
    assert (finish.order_state, finish.reason) == (OrderState.FAILED, "SEND_DICOM: 0xA900")
    assert [entry.index for entry in decode_job(finish.body.encode()).slip] == [2, 3]


REPORTS: list[tuple[str, dict[str, FakeStep], DestinationReport | None]] = [
    ("stored", {}, DestinationReport(KEY, is_probe=True)),
    ("refused", {"SEND_DICOM": fails(PermanentError("no"))}, DestinationReport(KEY, is_probe=True)),
    ("away", {"SEND_DICOM": fails(TransportFault("away"))}, DestinationReport(KEY, "away", is_probe=True)),
    ("not asked", {"GENERATE_DICOM": fails(TransportFault("the disk"))}, None),
    ("a defect", {"SEND_DICOM": fails(ZeroDivisionError())}, None),
    (
        "stored, and then away",
        {"VERIFY": fails(TransportFault("away"))},
        DestinationReport(KEY, "away", is_probe=True),
    ),
]


@pytest.mark.parametrize(("steps", "report"), [case[1:] for case in REPORTS], ids=[case[0] for case in REPORTS])
def test_what_is_told_of_the_destination(steps: dict[str, FakeStep], report: DestinationReport | None) -> None:
    types = ["GENERATE_DICOM", "SEND_DICOM", *(["VERIFY"] if "VERIFY" in steps else [])]
    assert run(a_job(*types), replace(CLAIM, is_probe=True), **steps).destination == report


def test_the_destination_of_a_job_is_that_of_its_own_steps() -> None:
    steps = FakeSteps({})
    assert destination_of(a_job("GENERATE_DICOM", "SEND_DICOM"), steps) == KEY
    assert destination_of(a_job("GENERATE_DICOM", "WAIT"), steps) == ""
    assert destination_of(a_job("GENERATE_DICOM", "SEND_DICOM", queues=("make", "send")), steps) == ""
    assert destination_of(a_job("SEND_DICOM", dicom={"aet": "A"}), steps) == ""


UNKNOWN: list[tuple[str, Claim, int, list[bool]]] = [
    ("a first start", CLAIM, 0, [False, False]),
    ("its worker was lost", replace(CLAIM, starts=2, lost_starts=1), 0, [True, True]),
    ("its process ended", replace(CLAIM, starts=2, crashes=1), 0, [True, True]),
    ("the head had a verdict", replace(CLAIM, starts=2, attempts=1), 0, [True, False]),
    ("the head had a fault", replace(CLAIM, starts=2, waited_seconds=1.0), 0, [True, False]),
    ("only given back", replace(CLAIM, starts=2), 0, [False, False]),
    ("its dead letter is tried again", CLAIM, 1, [True, True]),
]


@pytest.mark.parametrize(("claim", "epoch", "unknown"), [c[1:] for c in UNKNOWN], ids=[c[0] for c in UNKNOWN])
def test_whether_an_earlier_start_may_have_done_it(claim: Claim, epoch: int, unknown: list[bool]) -> None:
    seen: list[bool] = []

    def act(context: StepContext) -> StepResult:
        seen.append(context.earlier_unknown)
        return stored(context)

    run(
        a_job("GENERATE_DICOM", "SEND_DICOM", epoch=epoch),
        claim,
        GENERATE_DICOM=FakeStep(act),
        SEND_DICOM=FakeStep(act),
    )
    assert seen == unknown


@pytest.mark.parametrize("contents", [{"patient_context": {}}, {"order_context": {"x": 1}}, {"dicom": {"port": "x"}}])
def test_a_message_without_a_whole_order_is_dead_at_once(contents: dict[str, Any]) -> None:
    finish = run(a_job("SEND_DICOM", **contents))
    assert finish.death is not None and finish.death.kind == "permanent"
    assert "does not hold a whole order" in finish.death.reason


@pytest.mark.parametrize("error", [TemporaryError("gave up"), PermanentError("no"), TransportFault("away")])
def test_whatever_comes_of_a_step_whose_run_is_cancelled_it_is_cancelled(error: Exception) -> None:
    asked: list[str] = []

    def is_cancelled(run_id: str) -> bool:
        asked.append(run_id)
        return len(asked) > 1

    finish = run(a_job("SEND_DICOM", "VERIFY"), is_cancelled=is_cancelled, SEND_DICOM=fails(error))
    assert finish.order_state is OrderState.CANCELLED and finish.death is None
    assert states(finish) == [(1, StepState.CANCELLED), (2, StepState.CANCELLED)]


@pytest.mark.parametrize("data", [{("a", "key"): 1}, {"of": {1, 2}}, {"of": object}], ids=["a key", "a set", "a type"])
def test_a_step_whose_result_cannot_be_written_has_failed(data: dict[Any, Any]) -> None:
    finish = run(a_job("SEND_DICOM"), SEND_DICOM=FakeStep(lambda context: StepResult(data)))
    assert states(finish) == [(1, StepState.FAILED)]


@pytest.mark.parametrize(
    "value", [2**70, "\ud800", {1: 2}, 1e300 * 1e10], ids=["long", "half a pair", "a number", "inf"]
)
def test_a_step_may_tell_all_that_can_be_written(value: object) -> None:
    finish = run(a_job("SEND_DICOM"), SEND_DICOM=FakeStep(lambda context: StepResult({"told": value})))
    assert states(finish) == [(1, StepState.SUCCEEDED)] and finish.steps[0].data["told"] is value


def test_a_forged_job_whose_text_is_no_text_is_dead_without_its_message() -> None:
    [order] = orders(1, modalities={"CT": 1})
    forged = a_job("SEND_DICOM", order_context=order.order_context | {"placer_number": "\ud800"})
    finish = run(forged, SEND_DICOM=fails(PermanentError("no")))
    assert finish.death is not None and finish.body == ""
