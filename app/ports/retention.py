"""Removing what is old, a bounded piece in each transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.run import RunState


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, in few words."""

    id: str
    run_key: str
    state: RunState
    template_name: str
    requested: int
    ended_at: datetime


class Retention(Protocol):
    """What has been kept for long (of a unit of work). Times are the database's."""

    def now(self) -> datetime: ...

    def ended_runs(self, before: datetime, keep: int) -> list[EndedRun]:
        """Those that ended before, the oldest first, but not the ``keep`` newest of all that have ended."""
        ...

    def shrink(self, run_id: str, before: datetime, limit: int) -> bool:
        """Remove the rows of up to ``limit`` orders, dead letters first; False: the rest goes with the run's own row.

        Raises:
            NotFound: there is no such run.
            Conflict: it has not ended before.
        """
        ...

    def old_records(self, before: datetime) -> dict[str, int]:
        """How many ``dead_letters`` were settled before; and how many ``scaling_decisions``, ``idempotency_keys``
        and ``workers`` are older, and older than a day, which programs still go by."""
        ...

    def forget(self, before: datetime, limit: int) -> dict[str, int]:
        """Remove some ``limit`` of each of these; how many."""
        ...
