"""Removing what is old, a bounded piece in each transaction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, delete, func, select

from app.adapters.database.clock import read_now
from app.adapters.database.runs import SqlRuns
from app.adapters.database.tables import (
    dead_letters,
    events,
    idempotency_keys,
    orders,
    runs,
    scaling_decisions,
    step_executions,
    workers,
)
from app.domain.errors import Conflict
from app.domain.run import TERMINAL_RUN_STATES, RunState
from app.domain.work import DeadLetterState
from app.ports import EndedRun

STILL_USED = timedelta(days=1)  # a request's key is answered again, and the autoscaler looks back, for no longer
_ended_at = func.coalesce(runs.c.finished_at, runs.c.created_at).label("ended_at")
_COLUMNS = [_ended_at if field.name == "ended_at" else runs.c[field.name] for field in fields(EndedRun)]


class SqlRetention:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        return read_now(self._connection)

    def ended_runs(self, before: datetime, keep: int) -> list[EndedRun]:
        has_ended = runs.c.state.in_(list(TERMINAL_RUN_STATES))
        newest = select(runs.c.id).where(has_ended).order_by(_ended_at.desc(), runs.c.id.desc()).limit(keep)
        statement = select(*_COLUMNS).where(has_ended, _ended_at < before, runs.c.id.not_in(newest))
        rows = self._connection.execute(statement.order_by(_ended_at, runs.c.id))
        return [EndedRun(**{**row._mapping, "state": RunState(row.state)}) for row in rows]

    def shrink(self, run_id: str, before: datetime, limit: int) -> bool:
        run = SqlRuns(self._connection).get(run_id, lock=True)
        if not run.state.is_terminal or (run.finished_at or run.created_at) >= before:
            raise Conflict(f"run {run.run_key} is {run.state}, and was taken up again")
        # Without its dead letters it can't be reopened any more, however long the rest takes.
        letters = self._block(dead_letters.c.id, run.id, limit)
        if letters is not None:
            self._remove(dead_letters.c.id, run.id, letters)
            return True
        numbers = self._block(orders.c.number, run.id, limit)
        if numbers is None:
            return False
        for key in (events.c.order_number, step_executions.c.order_number, orders.c.number):
            self._remove(key, run.id, numbers)
        return True

    def old_records(self, before: datetime) -> dict[str, int]:
        return {
            at.table.name: self._connection.execute(
                select(func.count()).select_from(at.table).where(*conditions)
            ).scalar_one()
            for at, conditions in self._kinds(before)
        }

    def forget(self, before: datetime, limit: int) -> dict[str, int]:
        removed = {}
        for at, conditions in self._kinds(before):
            oldest = select(at).where(*conditions).order_by(at).limit(limit).subquery()
            newest_of_these = select(func.max(oldest.c[at.name])).scalar_subquery()
            statement = delete(at.table).where(*conditions, at <= newest_of_these)
            removed[at.table.name] = self._connection.execute(statement).rowcount
        return removed

    def _kinds(self, before: datetime) -> Iterator[tuple[Column[Any], tuple[ColumnElement[bool], ...]]]:
        """The time that each kind of record goes by, and which ones are old."""
        c = dead_letters.c
        yield c.settled_at, (c.state != DeadLetterState.OPEN, c.settled_at < before)
        unused = min(before, self.now() - STILL_USED)
        for at in (scaling_decisions.c.at, idempotency_keys.c.created_at, workers.c.seen_at):
            yield at, (at < unused,)

    def _block(self, key: Column[Any], run_id: str, limit: int) -> tuple[int, int] | None:
        """The first and the last of the run's lowest keys; a range, which an index is read by."""
        lowest = select(key).where(key.table.c.run_id == run_id).order_by(key).limit(limit).subquery()
        first, last = self._connection.execute(select(func.min(lowest.c[key.name]), func.max(lowest.c[key.name]))).one()
        return None if first is None else (first, last)

    def _remove(self, key: Column[Any], run_id: str, block: tuple[int, int]) -> None:
        self._connection.execute(delete(key.table).where(key.table.c.run_id == run_id, key.between(*block)))
