"""Removing what has been kept for long enough: ended runs with all that is theirs, and records that nobody needs.

In transactions of a bounded size, the oldest run first. Whoever is interrupted has removed what it had come to, and
whoever comes later, or at the same time, goes on with the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from app.domain.errors import Conflict, NotFound
from app.ports import Database, EndedRun, StudyStore
from app.runs.tending.remove import remove_run

ORDERS = 500  # of a run, whose rows are removed in one transaction
RECORDS = 5000  # of a kind, in one transaction


@dataclass(frozen=True, slots=True)
class Expired:
    """What is older than ``before``; records by kind."""

    before: datetime
    runs: list[EndedRun] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.runs and not any(self.records.values())


def find_expired(database: Database, seconds: float, keep_runs: int = 0) -> Expired:
    """What is older than so many seconds; the newest ``keep_runs`` runs that have ended are not, whatever their age."""
    with database.transaction() as work:
        before = work.retention.now() - timedelta(seconds=seconds)
        return Expired(before, work.retention.ended_runs(before, keep_runs), work.retention.old_records(before))


def prune(
    database: Database,
    expired: Expired,
    studies: StudyStore,
    folder: Callable[[str], Path],
    tell: Callable[[EndedRun], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Expired:
    """Remove it; what was removed. A run that was reopened since stays.

    Args:
        folder: where the files of a run are, by its id.
        tell: hears of each run that was removed.
        should_stop: asked between two transactions.

    Raises:
        Unavailable: the database is away.
    """
    removed: list[EndedRun] = []
    for run in expired.runs:
        if should_stop():
            break
        if _remove(database, run, expired.before, studies, folder, should_stop):
            removed.append(run)
            tell(run)
    return Expired(expired.before, removed, _forget(database, expired.before, should_stop))


def _remove(
    database: Database,
    run: EndedRun,
    before: datetime,
    studies: StudyStore,
    folder: Callable[[str], Path],
    should_stop: Callable[[], bool],
) -> bool:
    """Whether it was removed, and by us."""
    with suppress(NotFound, Conflict):  # another one was faster, or it was reopened
        while not should_stop():
            with database.transaction() as work:
                has_more = work.retention.shrink(run.id, before, ORDERS)
            if not has_more:
                remove_run(database, run.id, studies, folder)
                return True
    return False


def _forget(database: Database, before: datetime, should_stop: Callable[[], bool]) -> dict[str, int]:
    removed: Counter[str] = Counter()
    while not should_stop():
        with database.transaction() as work:
            some = work.retention.forget(before, RECORDS)
        removed.update(some)
        if not any(some.values()):
            break
    return dict(removed)
