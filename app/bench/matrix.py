"""``yeeter bench matrix``: the same launch under every combination of parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.bench.combinations import Combination
from app.bench.figures import LaunchFigures
from app.bench.keeping import Keeper
from app.domain.errors import InvalidInput, YeeterError

SHOWN = (
    *("template", "orders", "workers", "prefetch", "concurrency", "turn"),
    *("orders_per_second", "emitted_per_second", "max_queue_depth", "workers_cpu_ms_per_order", "worker_mib"),
)


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A combination and what came of it; ``problem`` says why its figures do not count."""

    combination: Combination
    problem: str
    figures: LaunchFigures | None

    def as_figures(self) -> dict[str, Any]:
        return {"problem": self.problem} | (asdict(self.figures) if self.figures else {})

    def as_row(self) -> dict[str, Any]:
        return self.combination.as_parameters() | self.as_figures()

    def as_shown(self) -> dict[str, Any]:
        """What of it has room in a line."""
        row = self.as_row()
        latency = row.get("latency_seconds", {}).get("order_to_stored", {})
        return {name: row.get(name) for name in SHOWN} | {"stored_p95_s": latency.get("p95"), "problem": self.problem}


Launch = Callable[[Combination], tuple[str, LaunchFigures]]


def run_matrix(combinations: Sequence[Combination], launch: Launch, say: Callable[[str], None]) -> Iterator[MatrixRow]:
    """Launch one after the other; each row comes as soon as it is measured.

    Raises:
        InvalidInput: nothing can be launched like this. Any other error of ours is a problem of its row.
    """
    for number, combination in enumerate(combinations, 1):
        place = f"[{number}/{len(combinations)}] {combination}"
        say(place)
        row = _row(combination, launch)
        say(f"{place}: {_said_of(row)}")
        yield row


def keep_rows(rows: Iterator[MatrixRow], keeper: Keeper) -> tuple[list[MatrixRow], bool]:
    """Store each row as it comes; those that came, and whether somebody interrupted the rest. Raises Unavailable."""
    kept: list[MatrixRow] = []
    try:
        for row in rows:
            keeper.keep(row.combination.command, row.combination.as_parameters(), row.as_figures())
            kept.append(row)
    except KeyboardInterrupt:
        return kept, True
    return kept, False


def _row(combination: Combination, launch: Launch) -> MatrixRow:
    try:
        return MatrixRow(combination, *launch(combination))
    except InvalidInput:
        raise
    except YeeterError as error:
        return MatrixRow(combination, str(error), None)


def _said_of(row: MatrixRow) -> str:
    figures = row.figures
    rates = f"{figures.orders_per_second:g} orders/s in {figures.wall_seconds:g} s" if figures else ""
    return ", ".join(filter(None, (rates, f"FAILED: {row.problem}" if row.problem else "")))
