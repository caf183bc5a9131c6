"""The event feed: a run's events in the order in which they may be seen.

On PostgreSQL a row with a lower id can become visible after one with a higher id. So the order is (xid, id), and only
transactions below ``pg_snapshot_xmin`` are read: everything that will ever come before them is already there.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Engine, desc, exists, literal_column, select, true, tuple_

from app.adapters.database.cursors import decode_cursor, encode_place
from app.adapters.database.engine import reading
from app.adapters.database.tables import events
from app.domain.event import Event, RecordedEvent

_c = events.c
_SETTLED = _c.xid < literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint", BigInteger)
_COLUMNS = (_c.xid, _c.id, _c.kind, _c.order_number, _c.step_index, _c.starts, _c.epoch, _c.at, _c.data)


class SqlEventFeed:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settled = _SETTLED if engine.dialect.name == "postgresql" else true()

    def read(
        self, run_id: str, after: str | None, limit: int, order_number: int | None = None
    ) -> tuple[list[RecordedEvent], str | None]:
        statement = select(*_COLUMNS).where(_c.run_id == run_id, self._settled).order_by(_c.xid, _c.id).limit(limit)
        if after is not None:
            # As a row value: an OR of two comparisons would walk the index from the run's first event.
            statement = statement.where(tuple_(_c.xid, _c.id) > tuple_(*decode_cursor(after, (int, int))))
        if order_number is not None:
            statement = statement.where(_c.order_number == order_number)
        with reading(self._engine) as connection:
            found = [_recorded(run_id, row) for row in connection.execute(statement)]
        return found, found[-1].cursor if found else after

    def newest(self, run_id: str) -> str | None:
        statement = select(_c.xid, _c.id).where(_c.run_id == run_id, self._settled)
        with reading(self._engine) as connection:
            row = connection.execute(statement.order_by(desc(_c.xid), desc(_c.id)).limit(1)).one_or_none()
        return None if row is None else encode_place(row.xid, row.id)

    def holds_back(self, run_id: str) -> bool:
        with reading(self._engine) as connection:
            held_back = exists().where(_c.run_id == run_id, ~self._settled)
            return bool(connection.execute(select(held_back)).scalar_one())


def _recorded(run_id: str, row: Any) -> RecordedEvent:
    xid, id_, kind, order_number, step_index, starts, epoch, at, data = row
    event = Event(run_id, kind, order_number, step_index, starts, epoch, data)
    return RecordedEvent(encode_place(xid, id_), at, event)
