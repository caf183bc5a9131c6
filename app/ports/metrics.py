"""Where the figures of runs are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.metrics import RunMetrics, WorkerShare


@dataclass(frozen=True, slots=True)
class WorkerShareRow:
    """What a worker did of a run, and of which."""

    run_id: str
    run_key: str
    template_name: str
    share: WorkerShare


@dataclass(frozen=True, slots=True)
class Period:
    """From one moment up to another, this one not included; None: without end."""

    since: datetime | None = None
    until: datetime | None = None


class RunFigures(Protocol):
    """Figures of runs that have ended, kept for each of their epochs; one covers all that came before it."""

    def keep(self, run_id: str, epoch: int, metrics: RunMetrics) -> None:
        """Replaces what is kept of this epoch."""
        ...

    def get(self, run_id: str, epoch: int) -> RunMetrics | None:
        """None: nothing is kept."""
        ...
