"""The combinations of a matrix: which launches there are, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from app.bench.keeping import NOWHERE_NAMED, Destinations, command_line
from app.bench.launch import WorkerShape


@dataclass(frozen=True, slots=True)
class Axes:
    """The values of each parameter; every combination of them is launched."""

    templates: Sequence[str]
    orders: Sequence[int]
    workers: Sequence[int]
    prefetch: Sequence[int]
    concurrency: Sequence[int]
    repeat: int = 1
    destinations: Destinations = NOWHERE_NAMED

    def combinations(self) -> list[Combination]:
        """In the order of launches: all of them, then all of them again, so that a slow minute meets no single one."""
        axes = (self.templates, self.orders, self.workers, self.prefetch, self.concurrency)
        return [
            Combination(*values, turn=turn, destinations=self.destinations)
            for turn in range(1, self.repeat + 1)
            for values in product(*axes)
        ]


@dataclass(frozen=True, slots=True)
class Combination:
    """One launch. ``turn`` counts those with the same parameters, from 1."""

    template: str
    orders: int
    workers: int
    prefetch: int
    concurrency: int
    turn: int = 1
    destinations: Destinations = NOWHERE_NAMED

    @property
    def shape(self) -> WorkerShape:
        return WorkerShape(self.workers, self.prefetch, self.concurrency)

    @property
    def command(self) -> str:
        """What launches this combination alone."""
        sizes = {f"--{name}": getattr(self, name) for name in ("orders", "workers", "prefetch", "concurrency")}
        return command_line("matrix", self.template, sizes | self.destinations.as_options())

    def as_parameters(self) -> dict[str, Any]:
        named = ("template", "orders", "workers", "prefetch", "concurrency", "turn")
        return {name: getattr(self, name) for name in named} | self.destinations.as_parameters()

    def __str__(self) -> str:
        return (
            f"{self.template}: {self.orders} orders, {self.workers} workers, "
            f"prefetch {self.prefetch}, concurrency {self.concurrency}"
        )
