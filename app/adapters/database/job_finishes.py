"""Finishing jobs: outcomes, events and what follows, in one transaction and only under the claim's own fence.

The fence stays on the row when its claim ends, until the next claim: whoever comes again with it, because the answer to
a commit was lost, finds its work written.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Integer, Select, Text, Update, and_, case, func, null, select, update

from app.adapters.database.clock import Instant, database_now
from app.adapters.database.dead_letters import write_deaths
from app.adapters.database.destinations import report_all
from app.adapters.database.job_events import events_of_finishes
from app.adapters.database.job_rows import KEY, key, locked_in_order, named_by
from app.adapters.database.journal import SqlJournal
from app.adapters.database.outbox import SqlOutbox
from app.adapters.database.rowset import ROWS, rowset
from app.adapters.database.tables import RunId, orders, step_executions
from app.domain.run import StepState
from app.domain.work import JobFinish, StepOutcome

_VERDICTS = (StepState.SUCCEEDED, StepState.FAILED)
_c = step_executions.c


def finish(connection: Connection, finishes: Sequence[JobFinish]) -> list[bool]:
    found = _lock_own_heads(connection, finishes)
    kept = [each for position, each in enumerate(finishes) if _is_running(found.get(position))]
    if kept:
        _end_own_steps(connection, kept)
        _ready_following(connection, kept, next(iter(found.values())).now)
        _finish_orders(connection, kept)
        ages = [(row.now - row.begun_at).total_seconds() for _, row in sorted(found.items()) if _is_running(row)]
        SqlJournal(connection).append(events_of_finishes(kept, ages))
        SqlOutbox(connection).put([each.following for each in kept if each.following])
        write_deaths(connection, [each for each in kept if each.death])
        report_all(connection, [each.destination for each in kept if each.destination])
    return [position in found for position in range(len(finishes))]


def _is_running(row: Any) -> bool:
    return row is not None and row.state == StepState.RUNNING


def _lock_own_heads(connection: Connection, finishes: Sequence[JobFinish]) -> dict[int, Any]:
    """For each finish whose fence still holds, by position: its head's state, its order's beginning, and the time."""
    wanted = [
        {**key(each.run_id, each.order_number, each.head), "fence": each.fence, "position": position}
        for position, each in enumerate(finishes)
    ]
    rows = connection.execute(_heads_to_finish(connection.dialect.name), {ROWS: wanted})
    return {row.position: row for row in rows}


def _end_own_steps(connection: Connection, kept: list[JobFinish]) -> None:
    rows = [
        {
            **key(each.run_id, each.order_number, step.step_index),
            "state": step.state,
            "error": step.error,
            "cause": step.cause,
            "attempts": int(step.state in _VERDICTS or step.cause == "verdict"),
            "starts": each.starts,
            "settled_starts": _settled_starts(each, step),
            "worker": each.worker,
        }
        for each in kept
        for step in each.steps
    ]
    connection.execute(_end_steps(connection.dialect.name), {ROWS: rows})


def _settled_starts(each: JobFinish, step: StepOutcome) -> int | None:
    """What is to be written; None where it depends on what is there.

    A start that ended in a crash counts as lost, and one that ended in a fault does not. But only a verdict makes up
    for those that were lost before.
    """
    if step.step_index == each.head and step.cause in ("crash", "transport"):
        return None
    return each.starts - (step.cause == "crash")


def _ready_following(connection: Connection, kept: list[JobFinish], now: datetime) -> None:
    rows = [
        {
            **key(each.run_id, each.order_number, each.following.step_index),
            "ready_at": now + timedelta(seconds=each.following.delay_seconds),
        }
        for each in kept
        if each.following is not None
    ]
    if rows:
        connection.execute(_ready_steps(connection.dialect.name), {ROWS: rows})


def _finish_orders(connection: Connection, kept: list[JobFinish]) -> None:
    rows = [
        {
            "run_id": each.run_id,
            "number": each.order_number,
            "state": each.order_state,
            "reason": each.reason,
            "instances_stored": each.instances_stored,
        }
        for each in kept
        if each.order_state is not None or each.instances_stored
    ]
    if rows:
        connection.execute(_advance_orders(connection.dialect.name), {ROWS: rows})


# --- statements, each built once a dialect ---


@cache
def _heads_to_finish(dialect: str) -> Select[Any]:
    given = rowset(dialect, *KEY, ("fence", RunId), ("position", Integer()))
    statement = (
        select(given.c.position, _c.state, orders.c.begun_at, select(database_now()).scalar_subquery().label("now"))
        .join_from(given, step_executions, named_by(given))
        .join(orders, and_(orders.c.run_id == given.c.run_id, orders.c.number == given.c.order_number))
        .where(_c.fence == given.c.fence)
    )
    return locked_in_order(statement)


@cache
def _end_steps(dialect: str) -> Update:
    texts = [(name, Text()) for name in ("state", "error", "cause", "worker")]
    numbers = [(name, Integer()) for name in ("attempts", "starts", "settled_starts")]
    given = rowset(dialect, *KEY, *texts, *numbers)
    verdict, transport, crash = (given.c.cause == cause for cause in ("verdict", "transport", "crash"))
    return (
        update(step_executions)
        .where(named_by(given))
        .values(
            state=given.c.state,
            error=given.c.error,
            # A step that was not the head takes over the job's starts: its next events have keys of their own.
            starts=given.c.starts,
            settled_starts=func.coalesce(given.c.settled_starts, _c.settled_starts + case((transport, 1), else_=0)),
            attempt=_c.attempt + given.c.attempts,
            crashes=case((verdict, 0), (crash, _c.crashes + 1), else_=_c.crashes),
            waiting_since=case(
                (verdict, null()),
                (transport, func.coalesce(_c.waiting_since, database_now())),
                else_=_c.waiting_since,
            ),
            worker=given.c.worker,
            lease_until=None,
            is_probe=False,
            finished_at=case((given.c.state != StepState.READY, database_now())),
        )
    )


@cache
def _ready_steps(dialect: str) -> Update:
    given = rowset(dialect, *KEY, ("ready_at", Instant()))
    return update(step_executions).where(named_by(given)).values(state=StepState.READY, ready_at=given.c.ready_at)


@cache
def _advance_orders(dialect: str) -> Update:
    fields = (("state", Text()), ("reason", Text()), ("instances_stored", Integer()))
    given = rowset(dialect, ("run_id", RunId), ("number", Integer()), *fields)
    return (
        update(orders)
        .where(orders.c.run_id == given.c.run_id, orders.c.number == given.c.number)
        .values(
            state=func.coalesce(given.c.state, orders.c.state),
            reason=given.c.reason,
            instances_stored=orders.c.instances_stored + given.c.instances_stored,
            finished_at=case((given.c.state.is_not(None), database_now())),
        )
    )
