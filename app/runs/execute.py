"""Running one claimed job: its steps back to back, and what follows from how they ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import structlog

from app.domain.destination import DicomDestination
from app.domain.errors import StepError, YeeterError
from app.domain.job import Job, SlipEntry
from app.domain.order import Order
from app.domain.run import OrderState, StepState
from app.domain.work import Claim, JobFinish, OutboxEntry, StepOutcome
from app.ports import Step, StepContext, StepResult

log = structlog.get_logger()


class JobRunner:
    """Runs the steps of a claimed job. Thread-safe: it keeps nothing."""

    def __init__(self, step: Callable[[str], Step], worker: str, is_cancelled: Callable[[str], bool]) -> None:
        self._step = step
        self._worker = worker
        self._is_cancelled = is_cancelled

    def run(self, job: Job, claim: Claim) -> JobFinish:
        """Never raises: every outcome, a defect included, becomes the job's finish."""
        begun = time.monotonic()
        first = next(i for i, entry in enumerate(job.slip) if entry.index == claim.head)
        last = len(job.own_steps)
        outcomes: list[StepOutcome] = []
        stored = 0
        for position in range(first, last):
            if claim.refusal == "cancelled" or self._is_cancelled(job.run_id):
                return self._ended(job, claim, begun, outcomes, position, OrderState.CANCELLED, stored)
            outcome, result = self._run_step(job, job.slip[position])
            outcomes.append(outcome)
            stored += result.instances_stored
            if outcome.state is StepState.FAILED and self._is_cancelled(job.run_id):
                return self._ended(job, claim, begun, outcomes[:-1], position, OrderState.CANCELLED, stored)
            if outcome.state is StepState.FAILED:
                reason = f"{outcome.type}: {outcome.error}"
                return self._ended(job, claim, begun, outcomes, position + 1, OrderState.FAILED, stored, reason)
            if result.wait_seconds and position + 1 < len(job.slip):
                following = OutboxEntry(job.continued_at(position + 1), result.wait_seconds)
                return self._finish(job, claim, begun, outcomes, stored, following=following)
        if last < len(job.slip):
            return self._finish(job, claim, begun, outcomes, stored, following=OutboxEntry(job.continued_at(last)))
        return self._finish(job, claim, begun, outcomes, stored, order_state=OrderState.COMPLETED)

    def _run_step(self, job: Job, entry: SlipEntry) -> tuple[StepOutcome, StepResult]:
        begun = time.monotonic()
        try:
            result = self._step(entry.type).run(self._context(job, entry, begun))
            json.dumps(result.data)  # what can't be written would fail the jobs of the whole group
        except (YeeterError, KeyError) as error:
            text = f"this worker has no step type {error}" if isinstance(error, KeyError) else str(error)
            return _failed(entry, begun, text, type(error).__name__), StepResult()
        except Exception as error:
            log.exception("a step raised what it should not", job=job.id, step=entry.type)
            return _failed(entry, begun, f"defect in {entry.type}: {error!r}", type(error).__name__), StepResult()
        seconds = time.monotonic() - begun
        return StepOutcome(entry.index, entry.type, StepState.SUCCEEDED, seconds, result.data), result

    def _context(self, job: Job, entry: SlipEntry, begun: float) -> StepContext:
        try:
            order = Order.from_context(job.patient_context, job.order_context)
            dicom = DicomDestination.model_validate(job.dicom)
        except (KeyError, TypeError, ValueError) as error:
            raise StepError(f"the job message does not hold a whole order: {error!r}") from error

        def is_cancelled() -> bool:
            return self._is_cancelled(job.run_id)

        return StepContext(job.run_id, order, entry.parameters, dicom, begun + entry.timeout, is_cancelled)

    def _ended(
        self,
        job: Job,
        claim: Claim,
        begun: float,
        outcomes: list[StepOutcome],
        position: int,
        state: OrderState,
        stored: int,
        reason: str = "",
    ) -> JobFinish:
        """The order ends here: the steps that are left, on other queues too, are cancelled."""
        left = [StepOutcome(entry.index, entry.type, StepState.CANCELLED, 0.0) for entry in job.slip[position:]]
        reason = reason or "the run was cancelled"
        return self._finish(job, claim, begun, outcomes + left, stored, order_state=state, reason=reason)

    def _finish(
        self,
        job: Job,
        claim: Claim,
        begun: float,
        outcomes: list[StepOutcome],
        stored: int,
        following: OutboxEntry | None = None,
        order_state: OrderState | None = None,
        reason: str = "",
    ) -> JobFinish:
        return JobFinish(
            run_id=job.run_id,
            order_number=job.order_number,
            epoch=job.epoch,
            head=claim.head,
            fence=claim.fence,
            starts=claim.starts,
            queue=job.queue,
            worker=self._worker,
            seconds=time.monotonic() - begun,
            steps=tuple(outcomes),
            following=following,
            order_state=order_state,
            reason=reason,
            instances_stored=stored,
        )


def _failed(entry: SlipEntry, begun: float, text: str, kind: str) -> StepOutcome:
    seconds = time.monotonic() - begun
    return StepOutcome(entry.index, entry.type, StepState.FAILED, seconds, {"error": kind}, error=text)
