"""Writing events and findings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import JSON, Connection, bindparam, delete, text

from app.adapters.database.clock import Instant
from app.adapters.database.rowset import insert_rows, values_of
from app.adapters.database.tables import events, findings
from app.domain.event import Event
from app.domain.work import Finding


class SqlJournal:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, new: Sequence[Event], *, unless_there: bool = False, at: datetime | None = None) -> None:
        """``unless_there`` leaves out what is told already: an event with the same key. ``at``: not now, but then."""
        if not new:
            return
        if self._connection.dialect.name == "postgresql":
            statement = _APPEND_UNLESS_THERE if unless_there else _APPEND
            self._connection.execute(statement, {**_columns(new), "at": at})
        else:
            rows = [_row(event) if at is None else _row(event) | {"at": at} for event in new]
            insert_rows(self._connection, events, rows, unless_there=unless_there)

    def find(self, run_id: str, epoch: int, found: Sequence[Finding]) -> None:
        self._connection.execute(delete(findings).where(findings.c.run_id == run_id, findings.c.epoch == epoch))
        rows = [{"run_id": run_id, "epoch": epoch, **values_of(finding)} for finding in found]
        insert_rows(self._connection, findings, rows)


def _row(event: Event) -> dict[str, object]:
    return {
        "run_id": event.run_id,
        "kind": event.kind,
        "order_number": event.order_number,
        "step_index": event.step_index,
        "starts": event.starts,
        "epoch": event.epoch,
        "data": event.data,
    }


# --- PostgreSQL: of an order's seven events arrays of columns are read sooner than objects ---

_INSERT = """
    INSERT INTO simulation_run_events (run_id, order_number, step_index, kind, starts, epoch, data, at)
    SELECT given.*, COALESCE(:at, clock_timestamp()) FROM ROWS FROM (
        unnest(
            CAST(:runs AS uuid[]), CAST(:numbers AS integer[]), CAST(:steps AS integer[]),
            CAST(:kinds AS text[]), CAST(:starts AS integer[]), CAST(:epochs AS integer[])
        ),
        json_array_elements(:data)
    ) AS given
"""
_TYPES = (bindparam("data", type_=JSON()), bindparam("at", type_=Instant()))
_APPEND = text(_INSERT).bindparams(*_TYPES)
_APPEND_UNLESS_THERE = text(f"{_INSERT} ON CONFLICT DO NOTHING").bindparams(*_TYPES)


def _columns(new: Sequence[Event]) -> dict[str, object]:
    return {
        "runs": _array(event.run_id for event in new),
        "numbers": _array(event.order_number for event in new),
        "steps": _array(event.step_index for event in new),
        "kinds": _array(event.kind for event in new),
        "starts": _array(event.starts for event in new),
        "epochs": _array(event.epoch for event in new),
        "data": [event.data for event in new],
    }


def _array(values: Iterable[object]) -> str:
    """An array as PostgreSQL reads it; of numbers, IDs and kinds of events, which need no quotes."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
