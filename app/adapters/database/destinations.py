"""Destinations as all processes know them: a breaker, and a bucket of permissions to send.

A row is written only where something is held against a destination, or its rate is limited: a job that was answered
as usual costs one look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Update, bindparam, case, or_, select, update

from app.adapters.database.clock import database_now, read_now
from app.adapters.database.rowset import clean_text, insert_rows
from app.adapters.database.tables import destinations
from app.domain.work import DestinationReport, DestinationRow, DestinationState

FAULTS_TO_OPEN = 5  # in a row
PROBE_SECONDS = 5.0
BURST_SECONDS = 0.5  # of its rate, which a bucket holds at most
_ROUNDING = 1e-9
_COLUMNS = [destinations.c[field.name] for field in fields(DestinationRow)]
_c = destinations.c


@dataclass(slots=True)
class _Heard:
    """What a group's reports say of one destination: an answer first, perhaps, and the faults since then."""

    answered: bool = False
    faults: int = 0
    reason: str = ""
    misconfigured: bool = False


def report_all(connection: Connection, reports: Sequence[DestinationReport]) -> None:
    """In the order of the keys, so that two groups can't wait for each other."""
    heard: dict[str, _Heard] = {}
    for report in reports:
        if report.fault:
            each = heard.setdefault(report.key, _Heard())
            each.faults += 1
            each.reason = report.fault
            each.misconfigured |= report.misconfigured
        else:
            heard[report.key] = _Heard(answered=True)
    for key in sorted(heard):
        if heard[key].faults:
            _count_faults(connection, key, heard[key])
        else:
            _close(connection, key)


def select_destinations() -> Any:
    return select(*_COLUMNS)


def to_destination(row: Row[Any]) -> DestinationRow:
    return DestinationRow(**{**row._mapping, "state": DestinationState(row.state)})


class SqlDestinations:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def report(self, key: str, fault: str, *, misconfigured: bool = False) -> DestinationRow:
        report_all(self._connection, [DestinationReport(key, fault, misconfigured)])
        known = self.get(key)
        return known or DestinationRow(key, DestinationState.CLOSED, 0, "", read_now(self._connection), None)

    def get(self, key: str) -> DestinationRow | None:
        row = self._connection.execute(select_destinations().where(_c.key == key)).one_or_none()
        return None if row is None else to_destination(row)

    def may_probe(self, key: str) -> bool:
        now = read_now(self._connection)
        due = or_(_c.next_probe_at.is_(None), _c.next_probe_at <= now)
        ours = self._connection.execute(
            update(destinations)
            .where(_c.key == key, _c.state == DestinationState.OPEN, due)
            .values(next_probe_at=now + timedelta(seconds=PROBE_SECONDS))
        )
        return ours.rowcount == 1

    def take(self, key: str, rate: float, wanted: int) -> tuple[int, float]:
        row = _locked(self._connection, key)
        now = read_now(self._connection)
        available = burst = max(1.0, rate * BURST_SECONDS)
        if row.refilled_at is not None:
            available = min(burst, row.tokens + max((now - row.refilled_at).total_seconds(), 0.0) * rate)
        granted = min(wanted, int(available + _ROUNDING))
        values = {"tokens": available - granted, "refilled_at": now}
        self._connection.execute(update(destinations).where(_c.key == key).values(**values))
        return granted, 0.0 if granted else (1.0 - available) / rate


def _locked(connection: Connection, key: str) -> Any:
    """The destination's row, made if need be, and ours until the transaction ends."""
    statement = select(destinations).where(_c.key == key).with_for_update()
    row = connection.execute(statement).one_or_none()
    if row is None:
        insert_rows(connection, destinations, [{"key": key}], unless_there=True)
        row = connection.execute(statement).one()
    return row


def _count_faults(connection: Connection, key: str, heard: _Heard) -> None:
    row = _locked(connection, key)
    now = read_now(connection)
    was_open = row.state == DestinationState.OPEN and not heard.answered
    faults = heard.faults + (0 if heard.answered else row.faults)
    is_open = was_open or heard.misconfigured or faults >= FAULTS_TO_OPEN
    values: dict[str, Any] = {"faults": faults, "reason": clean_text(heard.reason)}
    if is_open and not was_open:
        values["next_probe_at"] = now + timedelta(seconds=PROBE_SECONDS)
    state = DestinationState.OPEN if is_open else DestinationState.CLOSED
    if state != row.state:
        values |= {"state": state, "since": now}
    connection.execute(update(destinations).where(_c.key == key).values(**values))


def _close(connection: Connection, key: str) -> None:
    connection.execute(_closing(), {"answered": key})


# --- statements of every group of jobs, built once ---


@cache
def _closing() -> Update:
    is_open = _c.state == DestinationState.OPEN
    return (
        update(destinations)
        .where(_c.key == bindparam("answered"), or_(is_open, _c.faults > 0))
        .values(
            state=DestinationState.CLOSED,
            faults=0,
            reason="",
            since=case((is_open, database_now()), else_=_c.since),
            next_probe_at=None,
        )
    )
