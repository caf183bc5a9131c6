"""Decisions about worker pools, and what people want of them."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from app.adapters.database.clock import read_now
from app.adapters.database.rowset import clean_text
from app.adapters.database.tables import scaling_decisions, scaling_pins
from app.domain.scaling import Pin, PoolLoad, ScalingDecision, ScalingKind
from app.ports import ScalingRecord

_LOAD = [field.name for field in fields(PoolLoad)]
_DECISION = [field.name for field in fields(ScalingDecision) if field.name != "load"]
_c = scaling_decisions.c


def select_decisions() -> Select[Any]:
    return select(scaling_decisions)


def to_record(row: Row[Any]) -> ScalingRecord:
    values = row._mapping
    load = None if row.ready is None else PoolLoad(**{name: values[name] for name in _LOAD})
    decision = ScalingDecision(
        **{name: values[name] for name in _DECISION} | {"kind": ScalingKind(row.kind)}, load=load
    )
    return ScalingRecord(row.id, decision, row.applied, row.identity)


class SqlScalingRecords:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def now(self) -> datetime:
        return read_now(self._connection)

    def history(self, pool: str, seconds: float) -> list[ScalingRecord]:
        since = self.now() - timedelta(seconds=seconds)
        of_pool = select_decisions().where(_c.pool == pool).order_by(_c.at.desc(), _c.id.desc())
        within = list(self._connection.execute(of_pool.where(_c.at > since)).all())
        before = list(self._connection.execute(of_pool.where(_c.at <= since).limit(1)).all())
        return [to_record(row) for row in reversed(within + before)]

    def add(self, decision: ScalingDecision, identity: str, *, applied: bool) -> int:
        load = {name: getattr(decision.load, name, None) for name in _LOAD}
        said = {name: getattr(decision, name) for name in _DECISION} | {"reason": clean_text(decision.reason)}
        row = {**said, **load, "identity": identity, "applied": applied}
        id_: int = self._connection.execute(insert(scaling_decisions).values(row).returning(_c.id)).scalar_one()
        return id_

    def mark_applied(self, id: int) -> None:
        self._connection.execute(update(scaling_decisions).where(_c.id == id).values(applied=True))

    def prune(self, days: float) -> None:
        self._connection.execute(delete(scaling_decisions).where(_c.at < self.now() - timedelta(days=days)))


class SqlPins:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, pool: str) -> Pin | None:
        row = self._connection.execute(select(scaling_pins).where(scaling_pins.c.pool == pool)).one_or_none()
        return Pin(**row._mapping) if row is not None else None

    def set(self, pool: str, replicas: int, seconds: float, by: str) -> Pin:
        pin = Pin(pool, replicas, read_now(self._connection) + timedelta(seconds=seconds), clean_text(by))
        row = {name: getattr(pin, name) for name in ("pool", "replicas", "until", "by")}
        insert_one = (postgresql if self._connection.dialect.name == "postgresql" else sqlite).insert
        changed = {name: value for name, value in row.items() if name != "pool"}
        self._connection.execute(
            insert_one(scaling_pins).values(row).on_conflict_do_update(index_elements=["pool"], set_=changed)
        )
        return pin

    def remove(self, pool: str) -> bool:
        return bool(self._connection.execute(delete(scaling_pins).where(scaling_pins.c.pool == pool)).rowcount)
