"""The worker's keeper: prolongs the leases of jobs that wait for a hand, or that a hand is at.

A lease is for a worker that is gone without its message coming back. One that only is slow, because its steps are or
because a destination's rate holds it up, must not lose its jobs to others, who would be no faster. One that was frozen
has lost them, and had better not begin them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import structlog

from app.domain.errors import Unavailable
from app.ports import Database
from app.runs.working.desk import Claimed, Desk

log = structlog.get_logger()

SHARE = 0.25  # of a lease, after which it is prolonged
STALE = 10.0  # seconds after which a claim is looked at again before its job is begun


class Keeper:
    def __init__(self, desk: Desk, database: Database, lease_seconds: float) -> None:
        self._desk = desk
        self._database = database
        self._lease_seconds = lease_seconds

    def work(self) -> None:
        """Until the worker is abandoned."""
        while not self._desk.abandoned.wait(SHARE * self._lease_seconds):
            self._renew(self._desk.held)

    def owns(self, claimed: Claimed) -> bool:
        """Whether the job is still ours; a claim of just now is believed."""
        if time.monotonic() - claimed.at < min(STALE, SHARE * self._lease_seconds):
            return True
        return all(self._renew([claimed]))

    def _renew(self, claims: Sequence[Claimed]) -> list[bool]:
        if not claims:
            return []
        try:
            with self._database.transaction() as work:
                return work.jobs.renew([(each.request, each.claim) for each in claims], self._lease_seconds)
        except Unavailable as error:  # the finish tells whose it is
            log.warning("claims not prolonged", reason=str(error))
            return [True] * len(claims)
