"""What a run came to in figures: by stage, over time, by worker. All of it is derived from the run's events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class StageFigures:
    """A stage's latency in seconds; ``histogram`` is its HDR histogram, encoded (``app.util.latency``).

    Stages are those of the summary, and ``step.TYPE`` for the time that steps of a type took.
    """

    stage: str
    count: int
    min: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    histogram: str


class Depths(NamedTuple):
    """A run's jobs at one moment: waiting for a worker, claimed by one; and by how many workers."""

    queued: int
    running: int
    workers: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A run between two moments, in seconds since it began. Counts are what happened in it.

    ``queued`` and ``running`` are jobs as they were at its end: published and waiting for a worker, or claimed by one;
    ``workers`` are those who had claimed them.
    ``latency`` has count, p50, p95, p99 and max of each stage.
    """

    number: int
    begins: float
    seconds: float
    emitted: int
    acknowledged: int
    completed: int
    failed: int
    cancelled: int
    retried: int
    jobs: int
    instances: int
    bytes: int
    queued: int
    running: int
    workers: int
    latency: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class WorkerShare:
    """What one worker did of a run: jobs, and the seconds that they took together."""

    worker: str
    jobs: int
    busy_seconds: float
    first_at: datetime
    last_at: datetime

    @property
    def jobs_per_second(self) -> float | None:
        """Between its first and its last job; None for fewer than two moments."""
        seconds = (self.last_at - self.first_at).total_seconds()
        return self.jobs / seconds if seconds > 0 else None


@dataclass(frozen=True, slots=True)
class RunMetrics:
    stages: tuple[StageFigures, ...]
    intervals: tuple[Interval, ...]
    workers: tuple[WorkerShare, ...]
