"""Runs and the leases of those who run them."""

from __future__ import annotations

import uuid
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from app.adapters.database.clock import database_now, read_now
from app.adapters.database.journal import SqlJournal
from app.adapters.database.rowset import clean_text
from app.adapters.database.tables import (
    dead_letters,
    events,
    orders,
    outbox,
    parked_jobs,
    runs,
    step_executions,
    summaries,
)
from app.domain.errors import Conflict, NotFound
from app.domain.event import RUN_STATE, Event
from app.domain.identity import is_run_key
from app.domain.run import Run, RunState, Verdict, check_transition

_TAKEN_OVER = "the lease on this run was taken over by another producer"
_COLUMNS = [runs.c[field.name] for field in fields(Run)]


def to_run(row: Row[Any]) -> Run:
    values = dict(row._mapping)
    values["state"] = RunState(values["state"])
    values["verdict"] = Verdict(values["verdict"]) if values["verdict"] else None
    values["base_time"] = datetime.fromisoformat(values["base_time"])
    return Run(**values)


def select_runs() -> Any:
    return select(*_COLUMNS)


def by_id_or_key(id_or_key: str) -> Any:
    try:
        return runs.c.id == str(uuid.UUID(id_or_key))
    except ValueError:
        key = id_or_key.upper()
        return runs.c.run_key == (key if is_run_key(key) else None)


class SqlRuns:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, run: Run) -> None:
        values = {
            "id": run.id,
            "run_key": run.run_key,
            "template_id": run.template_id,
            "template_name": run.template_name,
            "template_version": run.template_version,
            "document": run.document,
            "seed": run.seed,
            "base_time": run.base_time.isoformat(),
            "requested": run.requested,
            "state": run.state,
            "labels": run.labels,
        }
        try:
            with self._connection.begin_nested():
                self._connection.execute(insert(runs), values)
        except IntegrityError as error:
            raise Conflict(
                f"run key {run.run_key} is taken by a run of this database; delete that one "
                f"(`yeeter runs delete {run.run_key}`), or use another key"
            ) from error
        SqlJournal(self._connection).append([Event(run.id, RUN_STATE, data={"state": run.state})])

    def get(self, id_or_key: str, *, lock: bool = False) -> Run:
        statement = select_runs().where(by_id_or_key(id_or_key))
        row = self._connection.execute(statement.with_for_update(key_share=True) if lock else statement).one_or_none()
        if row is None:
            raise NotFound(f"no run {id_or_key!r}; `yeeter runs list` shows them")
        return to_run(row)

    def move(self, run_id: str, state: RunState, reason: str = "") -> Run:
        current = self.get(run_id, lock=True)
        check_transition(current.state, state)
        reason = clean_text(reason)
        values: dict[str, Any] = {"state": state, "finished_at": database_now() if state.is_terminal else None}
        if reason or state is RunState.COMPLETED:  # what it was reopened for is over then
            values["reason"] = reason
        if state is RunState.RUNNING and current.started_at is None:
            values["started_at"] = database_now()
        if state is RunState.WAITING_ON_WORKERS and current.emitted_at is None:
            values["emitted_at"] = database_now()
        self._connection.execute(update(runs).where(runs.c.id == current.id).values(**values))
        data = {"state": state} | ({"reason": reason} if reason else {})
        SqlJournal(self._connection).append([Event(current.id, RUN_STATE, epoch=current.epoch, data=data)])
        return self.get(current.id)

    def conclude(self, run_id: str, summary: dict[str, Any], verdict: Verdict) -> None:
        run = self.get(run_id, lock=True)
        self._connection.execute(update(runs).where(runs.c.id == run.id).values(summary=summary, verdict=verdict))
        of_epoch = {"run_id": run.id, "epoch": run.epoch}
        self._connection.execute(delete(summaries).filter_by(**of_epoch))
        self._connection.execute(insert(summaries).values(summary=summary, verdict=verdict, **of_epoch))

    def reopen(self, run_id: str, reason: str) -> Run:
        run = self.get(run_id, lock=True)
        check_transition(run.state, RunState.WAITING_ON_WORKERS)
        if not run.state.is_terminal:
            raise Conflict(f"run {run.run_key} is {run.state}: it goes on as it is")
        fresh = {"epoch": run.epoch + 1, "summary": None, "verdict": None}
        self._connection.execute(update(runs).where(runs.c.id == run.id).values(**fresh))
        return self.move(run.id, RunState.WAITING_ON_WORKERS, reason)

    def remove(self, run_id: str) -> None:
        run = self.get(run_id, lock=True)
        if not run.state.is_terminal:
            raise Conflict(f"run {run.run_key} is {run.state}; cancel it first: `yeeter runs cancel {run.run_key}`")
        for table in (outbox, parked_jobs, dead_letters, events, step_executions, orders):
            self._connection.execute(delete(table).where(table.c.run_id == run.id))
        self._connection.execute(delete(runs).where(runs.c.id == run.id))


class SqlLeases:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def acquire(self, run_id: str, seconds: float) -> str:
        # Waits for those that hold it, which nothing else does: an update alone does not conflict with a key share.
        self._connection.execute(select(runs.c.id).where(runs.c.id == run_id).with_for_update())
        now = read_now(self._connection)
        fence = str(uuid.uuid4())
        taken = self._connection.execute(
            update(runs)
            .where(runs.c.id == run_id, or_(runs.c.lease_until.is_(None), runs.c.lease_until < now))
            .values(lease_fence=fence, lease_until=now + timedelta(seconds=seconds))
        )
        if taken.rowcount != 1:
            SqlRuns(self._connection).get(run_id)
            raise Conflict("another producer is running this run")
        return fence

    def renew(self, run_id: str, fence: str, seconds: float) -> RunState:
        until = read_now(self._connection) + timedelta(seconds=seconds)
        renewed = update(runs).where(runs.c.id == run_id, runs.c.lease_fence == fence).values(lease_until=until)
        if self._connection.execute(renewed).rowcount != 1:
            raise Conflict(_TAKEN_OVER)
        return self.hold(run_id, fence)

    def hold(self, run_id: str, fence: str) -> RunState:
        state = self._connection.execute(_held(), {"run_id": run_id, "fence": fence}).scalar_one_or_none()
        if state is None:
            raise Conflict(_TAKEN_OVER)
        return RunState(state)

    def remaining(self, run_id: str) -> float:
        statement = select(runs.c.lease_until, database_now().label("now")).where(runs.c.id == run_id)
        lease_until, now = self._connection.execute(statement).one_or_none() or (None, None)
        return 0.0 if lease_until is None else max((lease_until - now).total_seconds(), 0.0)

    def release(self, run_id: str, fence: str) -> None:
        self._connection.execute(
            update(runs)
            .where(runs.c.id == run_id, runs.c.lease_fence == fence)
            .values(lease_fence=None, lease_until=None)
        )


@cache
def _held() -> Select[Any]:
    """Of every transaction of a producer."""
    held = (runs.c.id == bindparam("run_id"), runs.c.lease_fence == bindparam("fence"))
    return select(runs.c.state).where(*held).with_for_update(read=True, key_share=True)
