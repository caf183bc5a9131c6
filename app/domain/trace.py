"""Traces: the W3C trace context that orders and jobs carry, and the span that tells of one piece of work.

Identifiers follow from what they name. So whoever goes on with a run, or makes a job anew, arrives at the same ones,
and nothing has to be kept for that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_SAMPLED = 0x01


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span, as others name it. ``str`` gives its ``traceparent`` (version 00)."""

    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16 of them
    sampled: bool = True  # whether its spans are recorded

    def child(self, key: str) -> TraceContext:
        """The context of a span below this one; ``key`` says which, and the same key means the same span."""
        return replace(self, span_id=_digits(f"{self.trace_id}/{self.span_id}/{key}", 16))

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{_SAMPLED if self.sampled else 0:02x}"


def new_trace(key: str) -> TraceContext:
    """The context that a trace of its own begins with; the same key means the same trace."""
    return TraceContext(_digits(f"trace/{key}", 32), _digits(f"span/{key}", 16))


def parse_traceparent(text: str) -> TraceContext | None:
    """What somebody else says; None when it is no trace context, which is then as if nothing had been said."""
    match = _TRACEPARENT.fullmatch(text)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more) or not int(trace_id, 16) or not int(span_id, 16):
        return None
    return TraceContext(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def _digits(key: str, count: int) -> str:
    return sha256(key.encode()).hexdigest()[:count]


SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work that is done; times are Unix times in seconds. Nothing of a patient goes into its attributes."""

    name: str
    kind: SpanKind
    context: TraceContext
    parent: TraceContext | None
    begun: float
    ended: float
    attributes: Attributes = field(default_factory=dict)
    error: str = ""  # the kind of error that it ended with, if any; never its text, which may repeat what peers said
