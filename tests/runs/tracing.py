"""Tracing into memory: the spans that were recorded, to ask about."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from app.adapters.tracing.otlp import OtelTracing


class Recorded(OtelTracing):
    """Keeps what it records."""

    def __init__(self, sampler: Sampler = ALWAYS_ON, exchange: str = "") -> None:
        self._exporter = InMemorySpanExporter()
        super().__init__(exchange, SimpleSpanProcessor(self._exporter), sampler)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, start: str) -> list[ReadableSpan]:
        """The spans whose name begins so, in the order of their beginnings."""
        found = [span for span in self.spans if span.name.startswith(start)]
        return sorted(found, key=lambda span: span.start_time or 0)

    def the(self, start: str) -> ReadableSpan:
        """The only one whose name begins so."""
        [span] = self.named(start)
        return span

    def trace_ids(self) -> set[int]:
        return {identity(span)[0] for span in self.spans}


def identity(span: ReadableSpan) -> tuple[int, int]:
    """Its trace and itself."""
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def parent(span: ReadableSpan) -> tuple[int, int] | None:
    """The trace and the span that it is below."""
    return None if span.parent is None else (span.parent.trace_id, span.parent.span_id)


def seconds(span: ReadableSpan) -> tuple[float, float]:
    """When it began and ended, in Unix time."""
    assert span.start_time is not None and span.end_time is not None
    return span.start_time / 1e9, span.end_time / 1e9


def attributes(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})
