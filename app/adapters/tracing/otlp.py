"""Spans over OpenTelemetry's SDK. Nothing else imports that, and this module is imported late.

Spans are recorded when they have ended, and their identifiers are given: the SDK is told both. Who is sampled is
decided before, run by run and order by order (``app.runs.traces``), by the sampler that the environment names; the
SDK's own tracer takes all that it gets.
"""

from __future__ import annotations

import threading

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, set_span_in_context

from app.domain.trace import Span, TraceContext

CLOSE_SECONDS = 5.0  # that a collector which does not answer may hold up the program's end
_NAME = "service.name"


def tracing_over_otlp(exchange: str) -> OtelTracing:
    """To the collector that the environment names, by OTLP over HTTP."""
    # A provider of nothing: it reads the environment's sampler, which the SDK has no other public way to ask for.
    sampler = TracerProvider(shutdown_on_exit=False).sampler
    return OtelTracing(exchange, BatchSpanProcessor(OTLPSpanExporter()), sampler)


class OtelTracing:
    """Hands spans to ``processor``; ``sampler`` decides which contexts are recorded."""

    def __init__(
        self,
        exchange: str,
        processor: SpanProcessor,
        sampler: Sampler = ALWAYS_ON,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self.exchange = exchange
        self._close_seconds = close_seconds
        self._sampler = sampler
        self._ids = _GivenIds()
        self._provider = TracerProvider(ALWAYS_ON, _resource(), shutdown_on_exit=False, id_generator=self._ids)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("yeeter")

    def samples(self, parent: TraceContext | None, key: int) -> bool:
        return self._sampler.should_sample(_within(parent), key, "").decision is Decision.RECORD_AND_SAMPLE

    def record(self, span: Span) -> None:
        self._ids.next = span.context
        recorded = self._tracer.start_span(
            span.name,
            _within(span.parent),
            SpanKind[span.kind.upper()],
            span.attributes,
            start_time=_nanoseconds(span.begun),
        )
        if span.error:
            recorded.set_attribute("error.type", span.error)
            recorded.set_status(StatusCode.ERROR)
        recorded.end(_nanoseconds(span.ended))

    def close(self) -> None:
        closing = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        closing.start()
        closing.join(self._close_seconds)


class _GivenIds(IdGenerator, threading.local):
    """Gives the identifiers of the span that this thread is about to record."""

    next: TraceContext

    def generate_trace_id(self) -> int:
        return int(self.next.trace_id, 16)

    def generate_span_id(self) -> int:
        return int(self.next.span_id, 16)


def _within(parent: TraceContext | None) -> Context:
    if parent is None:
        return Context()
    flags = TraceFlags(TraceFlags.SAMPLED if parent.sampled else TraceFlags.DEFAULT)
    context = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(context), Context())


def _resource() -> Resource:
    """As the environment says; without a name from there, under ours."""
    resource = Resource.create()
    if str(resource.attributes[_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({_NAME: "yeeter"}))
    return resource


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
