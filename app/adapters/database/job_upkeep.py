"""Jobs beside their claims and finishes: which are outstanding, lost or parked, and how they get going again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Row,
    Select,
    Update,
    and_,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from app.adapters.database.clock import Instant, database_now, read_now
from app.adapters.database.job_rows import DONE, KEY, is_unfinished, key, locked_in_order, named_by
from app.adapters.database.rowset import ROWS, rowset
from app.adapters.database.tables import RunId, events, orders, outbox, parked_jobs, step_executions
from app.domain.event import JOB_QUEUED
from app.domain.run import OrderState, StepState
from app.domain.work import JobReference, ParkedCount

_c = step_executions.c
_REFERENCE = (_c.order_number, _c.step_index, _c.epoch, _c.starts)


# --- how many there are ---


def outstanding(connection: Connection, run_id: str) -> bool:
    unfinished = exists().where(orders.c.run_id == run_id, is_unfinished)
    unpublished = exists().where(outbox.c.run_id == run_id)
    return bool(connection.execute(select(or_(unfinished, unpublished))).scalar_one())


def published(connection: Connection, run_id: str) -> int:
    def count(table: Any, *conditions: Any) -> Any:
        return select(func.count()).select_from(table).where(table.c.run_id == run_id, *conditions).scalar_subquery()

    waiting = count(orders, is_unfinished, orders.c.state == OrderState.WAITING)
    with_others: int = connection.execute(select(waiting - count(outbox) - count(parked_jobs))).scalar_one()
    return max(with_others, 0)


def select_parked(run_id: str) -> Select[Any]:
    c = parked_jobs.c
    counts = select(c.waiting_for, func.count().label("jobs")).where(c.run_id == run_id)
    return counts.group_by(c.waiting_for).order_by(c.waiting_for)


def parked(connection: Connection, run_id: str) -> list[ParkedCount]:
    return [ParkedCount(row.waiting_for, row.jobs) for row in connection.execute(select_parked(run_id))]


# --- lost ones ---


def lost(
    connection: Connection, run_id: str, ready_seconds: float, after: int, limit: int
) -> tuple[list[JobReference], int | None]:
    of_run = and_(orders.c.run_id == run_id, is_unfinished, orders.c.number > after)
    statement = select(orders.c.number).where(of_run).order_by(orders.c.number).limit(limit)
    numbers = connection.execute(statement).scalars().all()
    now = read_now(connection)
    values = {"now": now, "long_ago": now - timedelta(seconds=ready_seconds)}
    given = [{"run_id": run_id, "order_number": number} for number in numbers]
    found = connection.execute(_silent_jobs(connection.dialect.name), {ROWS: given, **values}).all()
    waiting = _in_outbox(connection, run_id, [row.order_number for row in found if row.state == StepState.READY])
    silent = [row for row in found if row.order_number not in waiting]
    # Ready as of now: whoever had claimed one is fenced off, and it is not found again at once.
    _make_ready(connection, run_id, silent, is_probe=None)
    return [_reference(row) for row in silent], numbers[-1] if len(numbers) == limit else None


def _in_outbox(connection: Connection, run_id: str, numbers: Sequence[int]) -> set[int]:
    if not numbers:
        return set()
    statement = select(outbox.c.order_number).where(outbox.c.run_id == run_id, outbox.c.order_number.in_(numbers))
    return set(connection.execute(statement).scalars())


def recover(connection: Connection, run_id: str, step_indexes: Sequence[int] | None) -> int:
    claimed = and_(_c.run_id == orders.c.run_id, _c.order_number == orders.c.number, _c.state == StepState.RUNNING)
    if step_indexes is not None:
        claimed = and_(claimed, _c.step_index.in_(step_indexes))
    of_run = and_(orders.c.run_id == run_id, is_unfinished)
    statement = locked_in_order(select(*_REFERENCE).join_from(orders, step_executions, claimed).where(of_run))
    rows = connection.execute(statement).all()
    _make_ready(connection, run_id, rows, is_probe=None)
    return len(rows)


def unfinished(
    connection: Connection, run_id: str, order_number: int, step_index: int, epoch: int
) -> JobReference | None:
    of_order = and_(_c.run_id == run_id, _c.order_number == order_number, _c.state.not_in(DONE))
    head = connection.execute(locked_in_order(select(*_REFERENCE).where(of_order)).limit(1)).one_or_none()
    if head is None or head.step_index < step_index or head.epoch != epoch:
        return None
    return _reference(head)


# --- parked ones ---


def release(connection: Connection, run_id: str, waiting_for: str, limit: int, *, probe: bool) -> list[JobReference]:
    c = parked_jobs.c
    wanted = select(c.order_number, c.step_index).where(c.run_id == run_id, c.waiting_for == waiting_for)
    oldest = connection.execute(wanted.order_by(c.at, c.order_number).limit(limit)).all()
    given = [key(run_id, row.order_number, row.step_index) for row in oldest]
    locked = connection.execute(_parked_steps(connection.dialect.name), {ROWS: given}).all()
    _make_ready(connection, run_id, locked, is_probe=probe)
    released = {row.order_number: _reference(row) for row in locked}
    connection.execute(delete(parked_jobs).where(c.run_id == run_id, c.order_number.in_(released)))
    return [released[row.order_number] for row in oldest if row.order_number in released]


def _make_ready(connection: Connection, run_id: str, rows: Sequence[Row[Any]], *, is_probe: bool | None) -> None:
    """As of now, and nobody's; ``is_probe`` None: as it was."""
    given = [key(run_id, row.order_number, row.step_index) for row in rows]
    if given:
        connection.execute(_ready_steps(connection.dialect.name, is_probe), {ROWS: given})


def _reference(row: Row[Any]) -> JobReference:
    return JobReference(row.order_number, row.step_index, row.epoch, row.starts)


# --- statements, each built once a dialect ---


@cache
def _silent_jobs(dialect: str) -> Select[Any]:
    """Of the given orders; those that somebody is just writing are left out."""
    given = rowset(dialect, ("run_id", RunId), ("order_number", Integer()))
    long_ago = bindparam("long_ago", type_=Instant())
    queued = exists().where(
        events.c.run_id == _c.run_id,
        events.c.order_number == _c.order_number,
        events.c.step_index == _c.step_index,
        events.c.kind == JOB_QUEUED,
        events.c.starts == _c.starts,
        events.c.at > long_ago,
    )
    abandoned = and_(_c.state == StepState.RUNNING, _c.lease_until < bindparam("now", type_=Instant()))
    forgotten = and_(_c.state == StepState.READY, _c.ready_at <= long_ago, ~queued)
    of_order = and_(_c.run_id == given.c.run_id, _c.order_number == given.c.order_number)
    statement = select(*_REFERENCE, _c.state).join_from(given, step_executions, of_order)
    return locked_in_order(statement.where(or_(abandoned, forgotten)), skip_locked=True)


@cache
def _parked_steps(dialect: str) -> Select[Any]:
    given = rowset(dialect, *KEY)
    statement = select(*_REFERENCE).join_from(given, step_executions, named_by(given))
    return locked_in_order(statement.where(_c.state == StepState.PARKED))


@cache
def _ready_steps(dialect: str, is_probe: bool | None) -> Update:
    given = rowset(dialect, *KEY)
    values: dict[str, Any] = {"state": StepState.READY, "ready_at": database_now(), "fence": None, "lease_until": None}
    if is_probe is not None:
        values["is_probe"] = is_probe
    return update(step_executions).where(named_by(given)).values(**values)
