"""Where spans go. Programs that have no place for them have no tracing: ``Tracing | None``."""

from __future__ import annotations

from typing import Protocol

from app.domain.trace import Span, TraceContext


class Tracing(Protocol):
    """Takes spans. Every method may be called from any thread, waits for nobody and raises nothing.

    ``exchange`` is the broker's, by which spans name a queue; "" where queues are in this process.
    """

    exchange: str

    def samples(self, parent: TraceContext | None, key: int) -> bool:
        """Whether a new context is to be recorded.

        ``key`` (0 and up) decides where only a share of them is: below the share of 2**64 it is.
        """
        ...

    def record(self, span: Span) -> None:
        """Take a span, whose context is a sampled one. More than can be sent on are dropped."""
        ...

    def close(self) -> None:
        """Send on what is there, for some seconds at most."""
        ...
