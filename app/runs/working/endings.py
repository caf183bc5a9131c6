"""How a claimed job may end: each way as the ``JobFinish`` that the database writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from app.domain.job import Job, SlipEntry, encode_job
from app.domain.records import record
from app.domain.run import OrderState, StepState
from app.domain.work import Claim, Death, DestinationReport, JobFinish, OutboxEntry, StepOutcome
from app.runs.working.consequences import Again, defect, text_of


@record(frozen=True, slots=True)
class Progress:
    """What a job has done so far. Replaced as a whole, so that another thread sees it as it was at one moment."""

    outcomes: tuple[StepOutcome, ...] = ()
    stored: int = 0  # instances
    report: DestinationReport | None = None
    in_memory: bool = False  # whether this start made the study, and put it into no store


@record(frozen=True, slots=True)
class Failure:
    """A step that did not succeed; ``kind`` is the error's name."""

    text: str
    kind: str
    seconds: float


class Endings:
    """The ways in which one claimed job may end; ``position`` counts on its routing slip."""

    def __init__(self, job: Job, claim: Claim, worker: str) -> None:
        self._job = job
        self._claim = claim
        self._worker = worker
        self._begun = time.monotonic()

    def completed(self, progress: Progress) -> JobFinish:
        """The last step of the order has succeeded."""
        return self._finish(progress, progress.outcomes, order_state=OrderState.COMPLETED)

    def continued(self, progress: Progress, position: int, delay_seconds: float = 0.0) -> JobFinish:
        """The rest of the slip goes on elsewhere, or later."""
        following = OutboxEntry.of(self._job.continued_at(position), delay_seconds)
        return self._finish(progress, progress.outcomes, following=following)

    def cancelled(self, progress: Progress, position: int) -> JobFinish:
        """The steps that are left, on other queues too, are cancelled."""
        outcomes = (*progress.outcomes, *_cancelled(self._job.slip[position:]))
        return self._finish(progress, outcomes, order_state=OrderState.CANCELLED, reason="the run was cancelled")

    def failed(self, progress: Progress, position: int, failure: Failure, follows: Again | Death) -> JobFinish:
        """The step at ``position`` did not succeed: it is tried again, or the job is dead."""
        if isinstance(follows, Again):
            return self._retried(progress, position, failure, follows)
        return self._dead(progress, position, failure, follows)

    def defect(self, error: BaseException) -> JobFinish:
        """The job itself, not one of its steps, did what it should not."""
        failure = Failure(text_of(error), type(error).__name__, time.monotonic() - self._begun)
        return self._dead(Progress(), head_position(self._job, self._claim), failure, defect(error))

    def _retried(self, progress: Progress, position: int, failure: Failure, again: Again) -> JobFinish:
        entry = self._job.slip[position]
        outcome = StepOutcome(
            entry.index,
            entry.type,
            StepState.READY,
            failure.seconds,
            {"error": failure.kind},
            failure.text,
            again.cause,
        )
        following = OutboxEntry.of(self._job.continued_at(position), again.delay_seconds, self._claim.starts)
        return self._finish(progress, (*progress.outcomes, outcome), following=following)

    def _dead(self, progress: Progress, position: int, failure: Failure, death: Death) -> JobFinish:
        entry, rest = self._job.slip[position], self._job.slip[position + 1 :]
        outcome = StepOutcome(
            entry.index, entry.type, StepState.FAILED, failure.seconds, {"error": failure.kind}, death.reason
        )
        return self._finish(
            progress,
            (*progress.outcomes, outcome, *_cancelled(rest)),
            order_state=OrderState.FAILED,
            reason=f"{entry.type}: {death.reason}",
            death=death,
            body=_message(self._job.continued_at(position)),
        )

    def _finish(self, progress: Progress, outcomes: tuple[StepOutcome, ...], **ending: Any) -> JobFinish:
        job, claim = self._job, self._claim
        return JobFinish(
            run_id=job.run_id,
            order_number=job.order_number,
            epoch=job.epoch,
            head=claim.head,
            fence=claim.fence,
            starts=claim.starts,
            queue=job.queue,
            worker=self._worker,
            seconds=time.monotonic() - self._begun,
            steps=outcomes,
            instances_stored=progress.stored,
            destination=progress.report,
            in_memory=progress.in_memory,
            **ending,
        )


def _cancelled(entries: Sequence[SlipEntry]) -> tuple[StepOutcome, ...]:
    return tuple(StepOutcome(entry.index, entry.type, StepState.CANCELLED, 0.0) for entry in entries)


def _message(job: Job) -> str:
    """The job's message; nothing when somebody forged one whose text is no text (a lone surrogate)."""
    try:
        return encode_job(job).decode()
    except UnicodeEncodeError:
        return ""


def head_position(job: Job, claim: Claim) -> int:
    """Where on the slip the claimed head stands."""
    return next(position for position, entry in enumerate(job.slip) if entry.index == claim.head)
