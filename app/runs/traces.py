"""The trace of a run: one for all that is done for it, whichever processes do it, and whoever asked for it.

    POST of the run (its caller's trace, or a new one) ── label ``traceparent`` of the run
        run ── emission of an order ── publish
                                    └─ job ── step ── C-STORE

A run that nobody's trace began has one of its own, which follows from its id. The order's context is what its jobs'
messages carry. Orders are sampled one by one, so that a share of a long run is affordable; the run itself is recorded
with any share of them.
"""

from __future__ import annotations

from app.domain.run import Run
from app.domain.trace import Attributes, TraceContext, new_trace, parse_traceparent
from app.ports import Tracing

LABEL = "traceparent"  # of a run: the context that it was asked for in
ALWAYS = 0  # the key that any share takes in


class RunTrace:
    """Which spans a run has. Thread-safe: it keeps nothing."""

    def __init__(self, run: Run, tracing: Tracing) -> None:
        self.tracing = tracing
        self.caller = parse_traceparent(run.labels.get(LABEL, ""))
        self.is_sampled = tracing.samples(self.caller, ALWAYS)
        self.context = (self.caller or new_trace(run.id)).child(run.id)

    def order(self, number: int) -> TraceContext | None:
        """The context of an order; None when it is not sampled."""
        context = self.context.child(str(number))
        return context if self.is_sampled and self.tracing.samples(None, int(context.span_id, 16)) else None

    def traceparent(self, number: int) -> str:
        """What the jobs of an order carry; empty when it is not sampled."""
        return str(self.order(number) or "")


def run_trace(run: Run, tracing: Tracing | None) -> RunTrace | None:
    """None where there is no tracing."""
    return None if tracing is None else RunTrace(run, tracing)


def queue_attributes(exchange: str, queue: str) -> Attributes:
    """A queue, by OpenTelemetry's semantic conventions for messaging."""
    if not exchange:
        return {"messaging.system": "in_process", "messaging.destination.name": queue}
    return {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": f"{exchange}:{queue}",
        "messaging.rabbitmq.destination.routing_key": queue,
    }
