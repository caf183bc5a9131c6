"""Writing events and findings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete

from app.adapters.database.rowset import insert_rows, values_of
from app.adapters.database.tables import events, findings
from app.domain.event import Event
from app.domain.work import Finding


class SqlJournal:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, new: Sequence[Event], *, unless_there: bool = False, at: datetime | None = None) -> None:
        """``unless_there`` leaves out what is told already: an event with the same key. ``at``: not now, but then."""
        moment = {} if at is None else {"at": at}
        insert_rows(self._connection, events, [_row(event) | moment for event in new], unless_there=unless_there)

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
