"""Asking a run to stop, to pause or to go on: its producer and the workers see it in its row, and do the rest."""

from __future__ import annotations

from app.domain.errors import Conflict
from app.domain.run import Run, RunState
from app.ports import Database

CANCELLED_ON_REQUEST = "cancelled on request"
_CAN_PAUSE = (RunState.RUNNING, RunState.WAITING_ON_WORKERS)


def request_cancel(database: Database, id_or_key: str) -> Run:
    """Ask a run to stop.

    Raises:
        NotFound, Conflict: there is no such run, or it has ended.
    """
    with database.transaction() as work:
        run = work.runs.get(id_or_key, lock=True)
        if run.state is RunState.CANCELLING:
            return run
        _check_going_on(run)
        return work.runs.move(run.id, RunState.CANCELLING, CANCELLED_ON_REQUEST)


def request_pause(database: Database, id_or_key: str) -> Run:
    """Ask a run to begin nothing new: orders are not sent, jobs wait. What is under way is finished.

    Raises:
        NotFound: there is no such run.
        Conflict: it is in a state in which there is nothing to hold back.
    """
    with database.transaction() as work:
        run = work.runs.get(id_or_key, lock=True)
        if run.state is RunState.PAUSED:
            return run
        _check_going_on(run)
        if run.state not in _CAN_PAUSE:
            states = " or ".join(_CAN_PAUSE)
            raise Conflict(f"run {run.run_key} is {run.state}; only one that is {states} can be paused")
        return work.runs.move(run.id, RunState.PAUSED)


def request_resume(database: Database, id_or_key: str) -> Run:
    """Have a paused run go on where it was.

    Raises:
        NotFound: there is no such run.
        Conflict: it is not paused.
    """
    with database.transaction() as work:
        run = work.runs.get(id_or_key, lock=True)
        if run.state is not RunState.PAUSED:
            _check_going_on(run)
            raise Conflict(f"run {run.run_key} is not paused: it is {run.state}")
        return work.runs.move(run.id, RunState.WAITING_ON_WORKERS if has_emitted(run) else RunState.RUNNING)


def has_emitted(run: Run) -> bool:
    """Whether its emission is over; a run that was reopened sends no orders, even if it never sent all."""
    return run.emitted_at is not None or run.epoch > 0


def _check_going_on(run: Run) -> None:
    if run.state.is_terminal:
        raise Conflict(f"run {run.run_key} has ended: it is {run.state}")
