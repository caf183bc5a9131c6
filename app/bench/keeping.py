"""Rows of a suite: stored as soon as they are measured, shown flat."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from app import __version__
from app.ports import Benchmark, BenchmarkRow, Database

BUILT_IN = "built-in"
RATES = {"matrix": "orders_per_second", "pipeline": "whole_way_per_second", "hl7": "messages_per_second"}


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a benchmark sends to, as it was typed; None stands for a built-in receiver."""

    hl7: str | None = None
    pacs: str | None = None

    def as_options(self) -> dict[str, str]:
        return {f"--{name}": address for name, address in asdict(self).items() if address is not None}

    def as_parameters(self) -> dict[str, str]:
        return {name: address or BUILT_IN for name, address in asdict(self).items()}


NOWHERE_NAMED = Destinations()


def command_line(suite: str, template: str, options: Mapping[str, object]) -> str:
    """The command that makes one row again."""
    return shlex.join(["yeeter", "bench", suite, template, *(str(part) for pair in options.items() for part in pair)])


class Keeper:
    """Stores what a suite measures, each row in a transaction of its own: an interruption loses none."""

    def __init__(self, database: Database, suite: str, machine: dict[str, Any]) -> None:
        self._database = database
        self._suite = suite
        self._machine = machine

    def keep(self, command: str, parameters: dict[str, Any], figures: dict[str, Any]) -> None:
        """Raises Unavailable."""
        row = Benchmark(self._suite, command, __version__, self._machine, parameters, figures)
        with self._database.transaction() as work:
            work.benchmarks.add(row)


def document_of(row: BenchmarkRow) -> dict[str, Any]:
    """A stored row as JSON values."""
    return {"id": row.id, "at": row.at.isoformat(), **asdict(row.benchmark)}


def shown_of(row: BenchmarkRow) -> dict[str, Any]:
    """What of a stored row has room in a line."""
    said = row.benchmark
    return {
        "id": row.id,
        "at": row.at.isoformat(" ", "seconds"),
        "suite": said.suite,
        "version": said.version,
        "per_second": said.figures.get(RATES.get(said.suite, "")),
        "problem": said.figures.get("problem", ""),
        "command": said.command,
    }


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The same with dotted names in place of mappings in mappings."""
    cells: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            cells |= flat(value, f"{prefix}{name}.")
        else:
            cells[f"{prefix}{name}"] = value
    return cells
