"""What a producer tells of its run in spans: the run, the emission of each order, the publishing of each job."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from app.domain.job import INLINE_QUEUE
from app.domain.run import Run, RunState
from app.domain.trace import Span
from app.domain.work import OutboxMessage
from app.ports import OrderOutcome
from app.runs.traces import RunTrace, queue_attributes


class ProducerSpans:
    """The spans of one run's producer. Orders are begun and ended by one thread, jobs are published by another."""

    def __init__(self, run: Run, trace: RunTrace, clock: Callable[[], float] = time.time) -> None:
        self._run = run
        self._trace = trace
        self._tracing = trace.tracing
        self._clock = clock  # Unix time
        self._begun: dict[int, float] = {}

    def begin(self, numbers: Sequence[int]) -> None:
        """The rows of these orders are written, and they are about to be sent; perhaps not for the first time."""
        now = self._clock()
        for number in numbers:
            self._begun.setdefault(number, now)

    def emitted(self, outcomes: Sequence[OrderOutcome]) -> None:
        """The outcomes of these are written."""
        now = self._clock()
        for outcome in outcomes:
            begun = self._begun.pop(outcome.number, now)
            if context := self._trace.order(outcome.number):
                attributes = self._attributes(outcome.number) | {
                    "yeeter.hl7.code": outcome.code,
                    "yeeter.hl7.attempts": outcome.attempts,
                    "yeeter.hl7.ack_seconds": outcome.ack_seconds,
                }
                error = "" if outcome.verdict == "accepted" else outcome.verdict
                self._record(Span("emit order", "client", context, self._trace.context, begun, now, attributes, error))

    def traceparent(self, number: int) -> str:
        """What the messages of an order carry."""
        return self._trace.traceparent(number)

    def published(self, messages: Sequence[OutboxMessage], seconds: float) -> None:
        """The broker has confirmed these, which took so long."""
        now = self._clock()
        for message in messages:
            if order := self._trace.order(message.order_number):
                exchange = "" if message.queue == INLINE_QUEUE else self._tracing.exchange
                attributes = {
                    **self._attributes(message.order_number),
                    **queue_attributes(exchange, message.queue),
                    "messaging.operation.name": "publish",
                    "messaging.operation.type": "send",
                    "messaging.message.id": message.job_id,
                }
                context = order.child(f"publish/{message.id}/{now}")
                name = f"publish {attributes['messaging.destination.name']}"
                self._record(Span(name, "producer", context, order, now - seconds, now, attributes))

    def ended(self, run: Run) -> None:
        """The run has ended. One that was taken up again has a span for each time, below the first."""
        if not self._trace.is_sampled or run.finished_at is None:
            return
        context, parent = self._trace.context, self._trace.caller
        if run.epoch:
            context, parent = context.child(f"epoch/{run.epoch}"), context
        attributes = {
            "yeeter.run.key": run.run_key,
            "yeeter.run.state": run.state.value,
            "yeeter.run.orders": run.requested,
            "yeeter.run.epoch": run.epoch,
            "yeeter.template": run.template_name,
        }
        begun = (run.started_at or run.created_at).timestamp()
        error = run.state.value if run.state is RunState.FAILED else ""
        self._record(Span("run", "internal", context, parent, begun, run.finished_at.timestamp(), attributes, error))

    def _attributes(self, number: int) -> dict[str, str | int | float]:
        return {"yeeter.run.key": self._run.run_key, "yeeter.order.number": number}

    def _record(self, span: Span) -> None:
        self._tracing.record(span)
