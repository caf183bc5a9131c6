"""Running one claimed job: its steps back to back, in this thread."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import structlog
from pydantic import ValidationError

from app.domain import fast_json
from app.domain.destination import DicomDestination
from app.domain.errors import PermanentError, TemporaryError
from app.domain.job import Job, SlipEntry
from app.domain.order import Order
from app.domain.records import record
from app.domain.run import StepState
from app.domain.work import Claim, Death, DestinationReport, JobFinish, StepOutcome
from app.ports import Handover, Step, StepContext, StepResult, StepSource
from app.runs.working.consequences import report_on, text_of, what_follows
from app.runs.working.endings import Endings, Failure, Progress, head_position

log = structlog.get_logger()

RATED = "SEND_DICOM"  # the step that a destination's rate is about: one study each

Permission = Callable[[DicomDestination, Callable[[], bool]], bool]


@dataclass(frozen=True, slots=True)
class JobRunner:
    """What it takes to run jobs. ``permission`` waits for a destination's rate; False when it is over before that."""

    steps: StepSource
    worker: str
    is_cancelled: Callable[[str], bool]
    permission: Permission

    def begin(self, job: Job, claim: Claim) -> JobRun:
        return JobRun(self, job, claim)


@record(frozen=True, slots=True)
class _StepUnderWay:
    position: int
    progress: Progress
    deadline: float  # time.monotonic() seconds


@record(frozen=True, slots=True)
class _Attempt:
    """How a step ended."""

    seconds: float
    result: StepResult = field(default_factory=StepResult)
    error: BaseException | None = None


class JobRun:
    """One claimed job on its way through its steps.

    A hand runs it. A step that ignores its time limit may never return, so another thread may end the job in the hand's
    place. Who calls :meth:`settle` first decides how it ended; what the other one has counts for nothing.
    """

    def __init__(self, runner: JobRunner, job: Job, claim: Claim) -> None:
        self._runner = runner
        self._job = job
        self._own = job.own_steps
        self._claim = claim
        self._first = head_position(job, claim)
        self._endings = Endings(job, claim, runner.worker)
        self._handover = Handover()
        self._contents: tuple[Order, DicomDestination] | None = None
        self._under_way: _StepUnderWay | None = None
        self._settled = threading.Lock()  # held once and for all

    def settle(self) -> bool:
        """Whether the caller is the first one."""
        return self._settled.acquire(blocking=False)

    def run(self) -> JobFinish | None:
        """How it ended, whatever its steps raised; None when the worker stops before a step, and nothing is lost."""
        progress = Progress()
        own = self._own
        for position in range(self._first, len(own)):
            if self._is_cancelled():
                return self._endings.cancelled(progress, position)
            attempt = self._attempt(position, progress)
            if attempt is None:
                return self._endings.cancelled(progress, position) if self._is_cancelled() else None
            report = self._report(own[position], attempt) or progress.report
            if attempt.error is not None:
                progress = replace(progress, report=report)
                if self._is_cancelled():  # it may have given up because of that
                    return self._endings.cancelled(progress, position)
                return self._failed(position, progress, attempt.error, attempt.seconds)
            progress = self._with_success(progress, own[position], attempt, report)
            if attempt.result.wait_seconds and position + 1 < len(self._job.slip):
                return self._endings.continued(progress, position + 1, attempt.result.wait_seconds)
        if len(own) < len(self._job.slip):
            return self._endings.continued(progress, len(own))
        return self._endings.completed(progress)

    def overdue(self, grace: float) -> JobFinish | None:
        """The job's end when its present step has outlasted its time limit by ``grace`` seconds."""
        step = self._under_way
        if step is None or time.monotonic() < step.deadline + grace:
            return None
        limit = self._job.slip[step.position].timeout
        return self._failed(step.position, step.progress, DidNotEnd(limit), limit + grace)

    def _attempt(self, position: int, progress: Progress) -> _Attempt | None:
        """Run a step; None when the worker stops, or the run is cancelled, while the step waits for its turn."""
        entry = self._job.slip[position]
        begun = time.monotonic()
        try:
            step = self._step(entry.type)
            order, dicom = self._contents = self._contents or contents_of(self._job)
            if entry.type == RATED and not self._runner.permission(dicom, self._is_cancelled):
                return None
            begun = time.monotonic()  # waiting for its turn is no part of the step
            self._under_way = _StepUnderWay(position, progress, begun + entry.timeout)
            result = step.run(self._context(position, order, dicom, begun + entry.timeout))
            _try_to_write(result.data)  # what can't be written would fail the jobs of the whole group
        except (Exception, SystemExit) as error:  # a step that calls exit() is no reason for the worker to end
            return _Attempt(time.monotonic() - begun, error=error)
        finally:
            self._under_way = None
        return _Attempt(time.monotonic() - begun, result)

    def _step(self, type_: str) -> Step:
        try:
            return self._runner.steps.step(type_)
        except KeyError as error:  # another worker of the queue may have it
            cure = "give all workers of a queue the same YEETER_STEP_TYPES"
            raise TemporaryError(f"this worker has no step type {type_!r} ({cure})") from error

    def _context(self, position: int, order: Order, dicom: DicomDestination, deadline: float) -> StepContext:
        return StepContext(
            self._job.run_id,
            order,
            self._job.slip[position].parameters,
            dicom,
            deadline,
            self._is_cancelled,
            earlier_unknown=self._was_begun_before(position),
            following=self._following(position),
            handover=self._handover,
        )

    def _following(self, position: int) -> tuple[str, ...]:
        own = self._own
        return tuple([entry.type for entry in own[position + 1 :]]) if len(own) == len(self._job.slip) else ()

    def _was_begun_before(self, position: int) -> bool:
        """Whether an earlier start may have done part of this step, or all of it."""
        claim = self._claim
        of_this_step = position == self._first and (claim.attempts > 0 or claim.waited_seconds > 0)
        return of_this_step or claim.lost_starts > 0 or claim.crashes > 0 or self._job.epoch > 0

    def _is_cancelled(self) -> bool:
        """Also when the job has been ended in our place: nothing more is to be done for it."""
        if self._claim.refusal == "cancelled" or self._settled.locked():
            return True
        return self._runner.is_cancelled(self._job.run_id)

    def _report(self, entry: SlipEntry, attempt: _Attempt) -> DestinationReport | None:
        key = _key_of(self._job.dicom) if self._runner.steps.uses_archive(entry.type) else ""
        return report_on(key, attempt.error, is_probe=self._claim.is_probe) if key else None

    def _with_success(
        self, progress: Progress, entry: SlipEntry, attempt: _Attempt, report: DestinationReport | None
    ) -> Progress:
        result = attempt.result
        outcome = StepOutcome(entry.index, entry.type, StepState.SUCCEEDED, attempt.seconds, result.data)
        return Progress(
            outcomes=(*progress.outcomes, outcome),
            stored=progress.stored + result.instances_stored,
            report=report,
            in_memory=bool(self._handover.study),
        )

    def _failed(self, position: int, progress: Progress, error: BaseException, seconds: float) -> JobFinish:
        entry, claim = self._job.slip[position], self._claim
        is_head = position == self._first
        attempts, waited = (claim.attempts, claim.waited_seconds) if is_head else (0, 0.0)
        follows = what_follows(error, entry.retry, attempts, waited)
        if isinstance(follows, Death):
            log.error("job is dead", job=self._job.id, step=entry.type, kind=follows.kind, reason=follows.reason)
        failure = Failure(text_of(error), type(error).__name__, seconds)
        return self._endings.failed(progress, position, failure, follows)


class DidNotEnd(TemporaryError):
    """A step that ignored its time limit."""

    def __init__(self, limit: float) -> None:
        super().__init__(f"did not end within {limit:g} s, and was left behind")


def _try_to_write(data: dict[str, Any]) -> None:
    try:
        fast_json.dumps(data)
    except TypeError:
        json.dumps(data)


def contents_of(job: Job) -> tuple[Order, DicomDestination]:
    """The order that the job is about, and where its study goes. Raises PermanentError: it does not say."""
    try:
        return Order.from_context(job.patient_context, job.order_context), _destination(job.dicom)
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(f"the job message does not hold a whole order: {error!r}") from error


def destination_of(job: Job, steps: StepSource) -> str:
    """The key of the destination that this job's own steps talk to; empty when none does, or it says none."""
    return _key_of(job.dicom) if any(steps.uses_archive(entry.type) for entry in job.own_steps) else ""


def _key_of(values: dict[str, Any]) -> str:
    """The destination's key; empty where these values are none."""
    try:
        return _destination(values).key
    except (TypeError, ValidationError):
        return ""


def _destination(values: dict[str, Any]) -> DicomDestination:
    """Jobs of a run all name the same one. Raises TypeError, ValidationError: these values are none."""
    return _destination_of_items(tuple(values.items()))


@lru_cache(maxsize=256)
def _destination_of_items(items: tuple[tuple[str, Any], ...]) -> DicomDestination:
    return DicomDestination.model_validate(dict(items))
