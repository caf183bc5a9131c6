"""The event feed: a run's events in the order in which they may be seen.

On PostgreSQL a row with a lower id can become visible after one with a higher id. So the order is (xid, id), and only
transactions below ``pg_snapshot_xmin`` are read: everything that will ever come before them is already there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    Select,
    Text,
    bindparam,
    cast,
    desc,
    exists,
    literal_column,
    select,
    true,
    tuple_,
)

from app.adapters.database.cursors import decode_cursor, encode_place
from app.adapters.database.engine import reading
from app.adapters.database.tables import events
from app.domain import fast_json
from app.domain.event import Event, RecordedEvent

_c = events.c
_SETTLED = _c.xid < literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint", BigInteger)
# Moments and documents as texts: the columns' own types take two fifths of a read to convert them.
_TEXTS = (cast(_c.at, Text), cast(_c.data, Text))
_COLUMNS = (_c.xid, _c.id, _c.kind, _c.order_number, _c.step_index, _c.starts, _c.epoch, *_TEXTS)


def _settled(dialect: str) -> ColumnElement[bool]:
    return _SETTLED if dialect == "postgresql" else true()


@cache
def _page(dialect: str, goes_on: bool, of_order: bool) -> Select[Any]:
    """Built once, as a run is read many times a second."""
    of_run = (_c.run_id == bindparam("of_run"), _settled(dialect))
    statement = select(*_COLUMNS).where(*of_run).order_by(_c.xid, _c.id).limit(bindparam("most"))
    if goes_on:
        # As a row value: an OR of two comparisons would walk the index from the run's first event.
        place = (bindparam("xid", type_=BigInteger()), bindparam("id", type_=BigInteger()))
        statement = statement.where(tuple_(_c.xid, _c.id) > tuple_(*place))
    if of_order:
        statement = statement.where(_c.order_number == bindparam("number"))
    return statement


class SqlEventFeed:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._settled = _settled(engine.dialect.name)
        self._zone = "" if engine.dialect.name == "postgresql" else "+00:00"  # SQLite keeps none

    def read(
        self, run_id: str, after: str | None, limit: int, order_number: int | None = None
    ) -> tuple[list[RecordedEvent], str | None]:
        values: dict[str, Any] = {"of_run": run_id, "most": limit}
        if after is not None:
            values["xid"], values["id"] = decode_cursor(after, (int, int))
        if order_number is not None:
            values["number"] = order_number
        statement = _page(self._engine.dialect.name, after is not None, order_number is not None)
        with reading(self._engine) as connection:
            rows = connection.execute(statement, values).all()
        found = list(self._recorded(run_id, rows))
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

    def _recorded(self, run_id: str, rows: Sequence[Any]) -> Iterator[RecordedEvent]:
        documents = fast_json.loads("[" + ",".join([row[-1] for row in rows]) + "]")  # at once, which is faster
        for (xid, id_, kind, order_number, step_index, starts, epoch, at, _), data in zip(rows, documents, strict=True):
            event = Event(run_id, kind, order_number, step_index, starts, epoch, data)
            yield RecordedEvent(encode_place(xid, id_), datetime.fromisoformat(at + self._zone), event)
