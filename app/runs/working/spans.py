"""What a worker tells of its jobs in spans: the job, each step, each C-STORE of a study.

Wrappers around what the worker uses anyway. They are there only when there is tracing, and a job whose message carries
no sampled context passes through them. The steps of a job in a process of its own are not told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import uuid4

from app.domain.destination import DicomDestination
from app.domain.job import INLINE_QUEUE
from app.domain.study import EncodedInstance, StoreResult
from app.domain.trace import Attributes, Span, SpanKind, TraceContext, parse_traceparent
from app.domain.work import JobFinish
from app.ports import Step, StepContext, StepResult, StepSource, StudySender, Tracing
from app.runs.traces import queue_attributes
from app.runs.working.desk import Claimed
from app.runs.working.hands import Running

_present: ContextVar[TraceContext | None] = ContextVar("present", default=None)  # the span that this thread is in


class TracedJob:
    """A job that a hand is at, told of in one span when it has ended, however it did."""

    def __init__(self, running: Running, claimed: Claimed, order: TraceContext, tracing: Tracing) -> None:
        self._running = running
        self._claimed = claimed
        self._order = order
        self._tracing = tracing
        self._context = order.child(claimed.claim.fence)
        self._begun = time.time()
        self._told = threading.Lock()  # held once and for all

    def settle(self) -> bool:
        return self._running.settle()

    def overdue(self, grace: float) -> JobFinish | None:
        finish = self._running.overdue(grace)
        if finish is not None:
            self._tell(finish)
        return finish

    def run(self) -> JobFinish | None:
        token = _present.set(self._context)
        try:
            finish = self._running.run()
        finally:
            _present.reset(token)
        if finish is not None:
            self._tell(finish)
        return finish

    def _tell(self, finish: JobFinish) -> None:
        if not self._told.acquire(blocking=False):
            return  # it was given up, and has ended after all
        job, claim = self._claimed.job, self._claimed.claim
        exchange = "" if job.queue == INLINE_QUEUE else self._tracing.exchange
        attributes = {
            **queue_attributes(exchange, job.queue),
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.message.id": job.id,
            "yeeter.run.key": job.run_key,
            "yeeter.order.number": job.order_number,
            "yeeter.job.outcome": finish.outcome,
            "yeeter.job.starts": claim.starts,
            "yeeter.job.redelivered": self._claimed.delivery.redelivered,
            "yeeter.job.wait_seconds": claim.wait_seconds,
            "yeeter.worker": finish.worker,
        }
        name = f"process {attributes['messaging.destination.name']}"
        error = _error_of(finish)
        self._tracing.record(
            Span(name, "consumer", self._context, self._order, self._begun, time.time(), attributes, error)
        )


def traced(running: Running, claimed: Claimed, tracing: Tracing) -> Running:
    """The same, told of in a span when its message asks for that."""
    order = parse_traceparent(claimed.job.traceparent) if claimed.job.traceparent else None
    return TracedJob(running, claimed, order, tracing) if order is not None and order.sampled else running


def _error_of(finish: JobFinish) -> str:
    """The kind of error that ended the job: a retry's, too."""
    if finish.outcome not in ("failed", "retried"):
        return ""
    return next((str(step.data["error"]) for step in finish.steps if "error" in step.data), finish.outcome)


@dataclass(frozen=True, slots=True)
class TracedSteps:
    """A source of steps that are told of in spans."""

    steps: StepSource
    tracing: Tracing

    def step(self, type_: str) -> Step:
        return _TracedStep(self.steps.step(type_), type_, self.tracing)

    def uses_archive(self, type_: str) -> bool:
        return self.steps.uses_archive(type_)


@dataclass(frozen=True, slots=True)
class _TracedStep:
    step: Step
    type: str
    tracing: Tracing

    def check(self, parameters: dict[str, object]) -> None:
        self.step.check(parameters)

    def run(self, context: StepContext) -> StepResult:
        own: Attributes = {"yeeter.order.number": context.order.number, "yeeter.step.type": self.type}
        with _telling(self.tracing, self.type, "internal", own):
            return self.step.run(context)


@dataclass(frozen=True, slots=True)
class TracedSender:
    """A sender of studies whose every C-STORE of a study, inside a step that is told of, is told of."""

    sender: StudySender
    tracing: Tracing

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        peer: Attributes = {
            "server.address": destination.host,
            "server.port": destination.port,
            "yeeter.dicom.called_aet": destination.aet,
        }
        with _telling(self.tracing, "C-STORE", "client", peer) as telling:
            results = self.sender.store(destination, instances, deadline, should_stop)
            telling.attributes |= {
                "yeeter.dicom.instances": len(results),
                "yeeter.dicom.bytes": sum(result.size for result in results),
            }
            refused = [result.outcome for result in results if not result.is_there]
            telling.error = refused[0] if refused else ""
        return results

    def close(self) -> None:
        self.sender.close()


@dataclass(slots=True)
class _Telling:
    """What becomes known of a span while its work is done."""

    attributes: dict[str, str | int | float]
    error: str = ""


@contextmanager
def _telling(tracing: Tracing, name: str, kind: SpanKind, attributes: Attributes) -> Iterator[_Telling]:
    """Around a piece of work within the span that this thread is in; where it is in none, nothing is told."""
    telling, parent = _Telling(dict(attributes)), _present.get()
    if parent is None:
        yield telling
        return
    context, begun = parent.child(uuid4().hex), time.time()
    token = _present.set(context)
    try:
        yield telling
    except BaseException as error:
        telling.error = type(error).__name__
        raise
    finally:
        _present.reset(token)
        tracing.record(Span(name, kind, context, parent, begun, time.time(), telling.attributes, telling.error))
