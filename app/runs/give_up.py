"""Ending a run that nobody runs any more."""

from __future__ import annotations

from app.domain.run import Run, RunState
from app.ports import Database


def give_up(database: Database, run_id: str, reason: str, lease_seconds: float) -> Run:
    """Set the run to FAILED and cancel its waiting orders, under its lease; a run that has ended stays as it is.

    Raises:
        NotFound: there is no such run.
        Conflict: a producer holds the lease (that of one that was killed has to run out first).
    """
    with database.transaction() as work:
        run = work.runs.get(run_id)
        if run.state.is_terminal:
            return run
        fence = work.leases.acquire(run.id, lease_seconds)
        work.orders.cancel_waiting(run.id)
        run = work.runs.move(run.id, RunState.FAILED, reason)
        work.leases.release(run.id, fence)
        return run
