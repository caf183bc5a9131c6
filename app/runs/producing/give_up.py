"""Ending a run that nobody can run any more."""

from __future__ import annotations

from app.domain.run import OrderState, Run
from app.ports import Database, UnitOfWork
from app.runs.producing.conclude import fail_run
from app.runs.producing.figures import tell_figures
from app.runs.producing.lease import Lease
from app.runs.producing.outcomes import end_in_doubt
from app.runs.producing.reconcile import Reconciliation
from app.runs.reading.folds import Folds
from app.runs.reading.follow import FeedFollower
from app.runs.reading.progress import ProgressFold


def give_up(database: Database, run_id: str, reason: str, lease_seconds: float) -> Run:
    """Set the run to FAILED, with a summary, under its lease; a run that has ended stays as it is.

    All its orders end: those whose outcome nobody will learn as FAILED, the others as cancelled. Claims that stand are
    voided, so whoever still works on a job writes nothing.

    Raises:
        NotFound: there is no such run.
        Conflict: a producer holds the lease (that of one that was killed has to run out first).
        Unavailable: the database is away.
    """
    with database.transaction() as work:
        run = work.runs.get(run_id)
    if run.state.is_terminal:
        return run
    with Lease(database, run.id, lease_seconds) as lease:
        completed = lease.write(lambda work: _end_orders(work, run))
        folds = Folds(ProgressFold(run.requested))
        FeedFollower(database.feed, run.id, folds.apply).catch_up()
        notes = ["nobody was asked: the run was given up"]
        reconciliation = Reconciliation(expected=completed, unverifiable=completed, notes=notes)
        run = lease.write(lambda work: fail_run(work, run.id, folds, reason, reconciliation))
    tell_figures(run)
    return run


def _end_orders(work: UnitOfWork, run: Run) -> int:
    """How many have completed."""
    work.jobs.recover(run.id)
    work.orders.cancel_waiting(run.id)
    end_in_doubt(work, run, tuple(step["type"] for step in run.document["steps"]))
    return work.orders.counts(run.id)[OrderState.COMPLETED]
