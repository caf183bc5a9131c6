"""The transactional outbox: rows first, then publish, then forget.

A row names its job and where it runs, and does not hold its message: that follows from run and order, and whoever
publishes it makes it. Kept here, it was written and read once for each job, for a tenth of an order's whole way.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, delete, func, select
from sqlalchemy.sql.dml import ReturningDelete

from app.adapters.database.clock import database_now, read_now
from app.adapters.database.journal import SqlJournal
from app.adapters.database.rowset import ROWS, insert_rows, rowset
from app.adapters.database.tables import outbox
from app.domain.event import JOB_QUEUED, Event
from app.domain.work import OutboxEntry, OutboxMessage


class SqlOutbox:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, entries: Sequence[OutboxEntry]) -> None:
        if not entries:
            return
        now = read_now(self._connection)
        insert_rows(
            self._connection,
            outbox,
            [
                {
                    "run_id": entry.run_id,
                    "order_number": entry.order_number,
                    "step_index": entry.step_index,
                    "starts": entry.starts,
                    "epoch": entry.epoch,
                    "queue": entry.queue,
                    "due_at": now + timedelta(seconds=entry.delay_seconds),
                }
                for entry in entries
            ],
        )

    def take(self, run_id: str, limit: int) -> list[OutboxMessage]:
        rows = self._connection.execute(_due(), {"of_run": run_id, "most": limit})
        return [OutboxMessage(run_id=run_id, **row._mapping) for row in rows]

    def sent(self, messages: Sequence[OutboxMessage], publish_seconds: float) -> None:
        if not messages:
            return
        rows = {ROWS: [{"id": message.id} for message in messages]}
        there = set(self._connection.execute(_forget(self._connection.dialect.name), rows).scalars())
        queued = [
            Event(
                message.run_id,
                JOB_QUEUED,
                message.order_number,
                message.step_index,
                message.starts,
                message.epoch,
                {"queue": message.queue, "job": message.job_id, "publish_seconds": round(publish_seconds, 6)},
            )
            for message in messages
            if message.id in there  # its order may have been cancelled meanwhile
        ]
        # Queued again without a start in between: that is told once. A worker may have started some of them already.
        SqlJournal(self._connection).append(queued, unless_there=True, at=messages[0].taken_at)

    def waiting(self, run_id: str) -> int:
        return self._connection.execute(
            select(func.count()).select_from(outbox).where(outbox.c.run_id == run_id)
        ).scalar_one()

    def due(self, queues: Collection[str]) -> int:
        c = outbox.c
        of_queues = (c.queue.in_(sorted(queues)), c.due_at <= database_now())
        return self._connection.execute(select(func.count()).select_from(outbox).where(*of_queues)).scalar_one()


# --- statements, each built once ---


@cache
def _due() -> Select[Any]:
    c = outbox.c
    now = select(database_now()).scalar_subquery()  # the same for all rows
    return (
        select(c.id, c.order_number, c.step_index, c.starts, c.epoch, c.queue, now.label("taken_at"))
        .where(c.run_id == bindparam("of_run"), c.due_at <= now)
        .order_by(c.due_at, c.id)
        .limit(bindparam("most"))
        .with_for_update(of=outbox, skip_locked=True)
    )


@cache
def _forget(dialect: str) -> ReturningDelete[Any]:
    given = rowset(dialect, ("id", BigInteger()))
    return delete(outbox).where(outbox.c.id.in_(select(given.c.id))).returning(outbox.c.id)
