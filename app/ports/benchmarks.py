"""What was measured of Yeeter itself, with the machine and the command that measured it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One row of a suite. ``command`` makes it again; names of figures say their unit."""

    suite: str
    command: str
    version: str  # of Yeeter
    machine: dict[str, Any]
    parameters: dict[str, Any]
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BenchmarkRow:
    """A benchmark that was written down; ``at`` is the database's time."""

    id: int
    at: datetime
    benchmark: Benchmark


class Benchmarks(Protocol):
    """The benchmarks' rows (of a unit of work)."""

    def add(self, benchmark: Benchmark) -> int:
        """Its id."""
        ...

    def latest(self, suite: str | None, limit: int) -> list[BenchmarkRow]:
        """The newest first; of every suite when it is None."""
        ...

    def server(self) -> str:
        """The database that the rows are in, with its version: its speed is in what is measured."""
        ...
