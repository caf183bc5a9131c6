"""A worker's figures as log lines: what it has done since the last line, and altogether."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from app.domain.work import Claim, JobFinish

log = structlog.get_logger()

EVERY = 60.0  # seconds


@dataclass(slots=True)
class _Tally:
    jobs: Counter[str] = field(default_factory=Counter)  # by outcome
    job_seconds: float = 0.0
    wait_seconds: float = 0.0
    instances: int = 0


class WorkerFigures:
    """A job observer. ``clock`` tells monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tally = _Tally()
        self._since = clock()
        self._total = 0

    def finished(self, claim: Claim, finish: JobFinish) -> None:
        with self._lock:
            tally = self._tally
            tally.jobs[finish.outcome] += 1
            tally.job_seconds += finish.seconds
            tally.wait_seconds += claim.wait_seconds
            tally.instances += finish.instances_stored

    def tell_when_due(self) -> None:
        """Log the line, once a minute; to be called more often than that."""
        if self._clock() - self._since >= EVERY:
            self.tell()

    def tell(self) -> None:
        """Log the line, and begin anew."""
        log.info("figures", of="worker", **self._taken())

    def _taken(self) -> dict[str, Any]:
        now = self._clock()
        with self._lock:
            tally, self._tally = self._tally, _Tally()
        seconds, self._since = now - self._since, now
        jobs = tally.jobs.total()
        self._total += jobs
        return {
            "seconds": round(seconds, 3),
            "jobs": jobs,
            **{outcome: tally.jobs[outcome] for outcome in ("succeeded", "failed", "retried", "cancelled")},
            "jobs_per_second": round(jobs / max(seconds, 1e-9), 3),
            "mean_job_seconds": round(tally.job_seconds / jobs, 6) if jobs else None,
            "mean_wait_seconds": round(tally.wait_seconds / jobs, 6) if jobs else None,
            "instances_stored": tally.instances,
            "jobs_in_all": self._total,
        }
