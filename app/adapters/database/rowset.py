"""Many rows as one parameter of one statement: a JSON array that the database itself reads as a table.

One round trip and one plan whatever the number of rows. An executemany prepares each row's parameters in this process,
and each update of it is a statement of its own to PostgreSQL: an order's whole way through the database took twice as
long.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import JSON, Connection, FromClause, Insert, Table, bindparam, column, func, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeEngine

from app.domain import fast_json

_NUL = b"\\u0000"
_REFUSED = (_NUL.decode(), "NaN", "Infinity")
ROWS = "rows"  # the name of the parameter that carries them

Field = tuple[str, TypeEngine[Any]]


def rowset(dialect: str, *fields: Field, parameter: str = ROWS) -> FromClause:
    """The rows of a parameter, a sequence of mappings, as a table to select from or to join."""
    rows, given = bindparam(parameter, type_=JSON()), f"given_{parameter}"
    if dialect == "postgresql":
        columns = [column(name, type_) for name, type_ in fields]
        return func.json_to_recordset(rows).table_valued(*columns, name=given).render_derived(with_types=True)
    each = func.json_each(rows).table_valued("value", name="each")
    values = [func.json_extract(each.c.value, f"$.{name}", type_=type_).label(name) for name, type_ in fields]
    return select(*values).subquery(given)


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, unless_there: bool = False
) -> None:
    """Insert rows that all have the keys of the first one; ``unless_there`` leaves out those whose key is taken."""
    if rows:
        statement = _insert(connection.dialect.name, table, tuple(rows[0]), unless_there)
        connection.execute(statement, {ROWS: rows})


@cache
def _insert(dialect: str, table: Table, names: tuple[str, ...], unless_there: bool) -> Insert:
    given = rowset(dialect, *((name, table.c[name].type) for name in names))
    # "WHERE true": without it SQLite would read ON CONFLICT as the ON of a join.
    source = select(*(given.c[name] for name in names)).where(true())
    insert = (postgresql.insert if dialect == "postgresql" else sqlite.insert)(table)
    if unless_there:
        insert = insert.on_conflict_do_nothing()
    return insert.from_select(names, source)


def values_of(value: Any) -> dict[str, Any]:
    """The fields, two or more, of a dataclass with slots, as they are.

    ``dataclasses.asdict`` copies each, in ten times the time.
    """
    kind: Any = type(value)
    names, get = _fields_of(kind)
    return dict(zip(names, get(value), strict=True))


@cache
def _fields_of(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    names = kind.__slots__
    return names, attrgetter(*names)


def clean_text(text: str) -> str:
    """Text that every database takes: NUL and lone surrogates, which a peer's answer may hold, are replaced."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def json_serializer(dialect: str) -> Callable[[Any], str]:
    """How the engine writes JSON: compact, moments as the dialect stores them, nothing that PostgreSQL refuses.

    Step types of others put what they like into an event's data: what JSON does not know becomes its text, and an
    enumeration's member its value.
    """
    write_moment = _moment_of_postgresql if dialect == "postgresql" else _moment_of_sqlite

    def moment(value: Any) -> str:
        if isinstance(value, datetime):
            return write_moment(value)
        raise TypeError

    def other(value: Any) -> Any:
        if isinstance(value, datetime):
            return write_moment(value)
        return value.value if isinstance(value, Enum) else str(value)

    def dump(value: Any) -> str:
        try:
            text = fast_json.dumps(value, moment)
        except TypeError:
            return _dump_anything(value, other)
        return _dump_anything(value, other) if _NUL in text else text.decode()

    return dump


def _moment_of_postgresql(value: datetime) -> str:
    return value.isoformat()


def _moment_of_sqlite(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def _dump_anything(value: Any, other: Callable[[Any], Any]) -> str:
    """The long way, for what the fast one does not take."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=other)
    if any(refused in text for refused in _REFUSED):
        text = json.dumps(_storable(value), ensure_ascii=False, separators=(",", ":"), default=other)
    return text.encode("utf-8", "replace").decode()


def _storable(value: Any) -> Any:
    """The same without NUL characters, and with null for numbers that are not finite."""
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {_storable(key): _storable(item) for key, item in value.items()}
        case list() | tuple():
            return [_storable(item) for item in value]
    return value
