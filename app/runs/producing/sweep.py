"""The sweeper: finds jobs that nobody will run by themselves, and has them published again.

A worker that is gone leaves claims whose leases run out. A message that is gone leaves a job READY with nothing on its
way to it; but a job in a long queue looks the same, so this counts only after the queues have been empty for a while.
"""

from __future__ import annotations

import time

import structlog

from app.domain.errors import Unavailable
from app.domain.job import INLINE_QUEUE
from app.domain.run import RunState
from app.ports import Broker, UnitOfWork
from app.runs.jobs import JobBuilder
from app.runs.parts import Parts, Rhythm
from app.runs.producing.lease import Lease

log = structlog.get_logger()

PAGE = 5000  # unfinished orders that are looked at in one transaction
NEVER = 1e9  # seconds


class Sweeper:
    """Looks after the jobs of one run on these queues."""

    def __init__(self, parts: Parts, lease: Lease, builder: JobBuilder, queues: list[str]) -> None:
        self._lease = lease
        self._builder = builder
        self._rhythm: Rhythm = parts.rhythm
        self._queues = [(broker_of(parts, queue), queue) for queue in queues]
        self._next = 0.0
        self._quiet_since: float | None = None

    def look(self) -> None:
        """Raises Unavailable when the database is away."""
        now = time.monotonic()
        quiet = self._are_quiet(now)
        if now < self._next or self._lease.state not in (RunState.RUNNING, RunState.WAITING_ON_WORKERS):
            return
        self._next = now + self._rhythm.sweep
        after: int | None = -1
        while after is not None:
            after = self._sweep_page(after, self._rhythm.quiet if quiet else NEVER)

    def _are_quiet(self, now: float) -> bool:
        """Whether every queue was empty on every look for long enough."""
        try:
            is_empty = all(broker.depth(queue).ready == 0 for broker, queue in self._queues)
        except Unavailable:
            is_empty = False
        if not is_empty:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = now
        return self._quiet_since is not None and now - self._quiet_since >= self._rhythm.quiet

    def _sweep_page(self, after: int, ready_seconds: float) -> int | None:
        def sweep(work: UnitOfWork, _: RunState) -> tuple[int, int | None]:
            jobs, following = work.jobs.lost(self._lease.run_id, ready_seconds, after, PAGE)
            work.outbox.put(self._builder.entries(jobs))
            return len(jobs), following

        jobs, following = self._lease.attempt(sweep)
        if jobs:
            log.warning("jobs that nobody ran are published again", run_id=self._lease.run_id, jobs=jobs)
        return following


def broker_of(parts: Parts, queue: str) -> Broker:
    """Who carries this queue."""
    return parts.inline if queue == INLINE_QUEUE else parts.broker
