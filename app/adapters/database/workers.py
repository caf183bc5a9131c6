"""Workers, as they tell of themselves."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from app.adapters.database.clock import database_now, read_now
from app.adapters.database.tables import workers
from app.ports import WorkerBeat, WorkerRow

ALIVE_SECONDS = 20.0  # since a worker was last heard of; they beat every few
FORGET_SECONDS = 3600.0
_c = workers.c


class SqlWorkers:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def beat(self, beat: WorkerBeat) -> None:
        said = {field.name: getattr(beat, field.name) for field in fields(WorkerBeat)} | {"queues": list(beat.queues)}
        changed = update(workers).where(_c.name == beat.name).values(said | {"seen_at": database_now()})
        if not self._connection.execute(changed).rowcount:
            long_ago = read_now(self._connection) - timedelta(seconds=FORGET_SECONDS)
            self._connection.execute(delete(workers).where(_c.seen_at < long_ago))
            self._connection.execute(insert(workers).values(said))

    def remove(self, name: str) -> None:
        self._connection.execute(delete(workers).where(_c.name == name))

    def alive(self) -> list[WorkerRow]:
        since = read_now(self._connection) - timedelta(seconds=ALIVE_SECONDS)
        rows = self._connection.execute(select(workers).where(_c.seen_at > since).order_by(_c.name))
        return [_row(row) for row in rows]


def _row(row: Row[Any]) -> WorkerRow:
    said = {field.name: row._mapping[field.name] for field in fields(WorkerBeat)} | {"queues": tuple(row.queues)}
    return WorkerRow(WorkerBeat(**said), row.started_at, row.seen_at)
