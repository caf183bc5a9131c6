"""Engines: how a connection to each database is made, begins its transactions and says what is wrong with it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2  # type: ignore[import-untyped]
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry

from app.adapters.database.rowset import json_serializer
from app.domain import fast_json
from app.domain.errors import InvalidInput, Problem, SchemaMissing, Unavailable

# SQLAlchemy's own default for postgresql:// is another driver.
DRIVERS = {
    "postgresql": "postgresql+psycopg2",
    "postgres": "postgresql+psycopg2",
    "postgresql+psycopg2": "postgresql+psycopg2",
    "sqlite": "sqlite",
}
SQLITE_BUSY_SECONDS = 30.0
TRIED_AFTER = 1.0  # seconds that a connection has rested, after which it is tried before it is used
_RESTS_SINCE = "rests_since"
_SESSION = {
    "timezone": "UTC",
    # A transaction that sits idle holds back pg_snapshot_xmin, and with it every reader of the event feed.
    "idle_in_transaction_session_timeout": "60s",
    # A run's tables grow from nothing to a million rows before their statistics are first gathered. A planner that
    # believes them empty reads them whole for each group of jobs; every statement here has an index to go by.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}
_POSTGRESQL = {
    "connect_timeout": 5,
    "application_name": "yeeter",
    # A peer that is cut off without a word is noticed within about 20 seconds.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
    "options": " ".join(f"-c {name}={value}" for name, value in _SESSION.items()),
}
_OTHER_SCHEMA_CODES = ("42P01", "42703")  # undefined table, undefined column
_OTHER_SCHEMA_TEXTS = ("no such table", "no such column", "has no column named")  # SQLite has no codes for these


def make_engine(url: str) -> Engine:
    """An engine for PostgreSQL (psycopg2) or SQLite (WAL, one writer at a time); nothing is connected yet.

    Raises:
        InvalidInput: the URL names no database that we know.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    return _postgresql(parsed)


def _parse(url: str) -> URL:
    cure = "postgresql://USER:PASSWORD@HOST/NAME or sqlite:///PATH"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise InvalidInput(Problem("DATABASE_URL", "not a URL of a database", cure)) from error
    if parsed.drivername not in DRIVERS:
        raise InvalidInput(Problem("DATABASE_URL", f"{parsed.drivername} is not supported", cure))
    if "@" in (parsed.host or ""):
        raise InvalidInput(Problem("DATABASE_URL", "more than one @", "write %40 for an @ in the password"))
    return parsed.set(drivername=DRIVERS[parsed.drivername])


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=5,
        max_overflow=20,
        pool_use_lifo=True,  # the fewest backends, and those whose caches are warm
        json_serializer=json_serializer("postgresql"),
        json_deserializer=fast_json.loads,
        connect_args=_POSTGRESQL,
    )

    @event.listens_for(engine, "checkin")
    def _note_rest(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[_RESTS_SINCE] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _try_rested(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        # One that was in use just now is most likely there still, and if it is not, its transaction says so.
        if time.monotonic() - record.info.get(_RESTS_SINCE, math.inf) < TRIED_AFTER:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg2.Error as error:
            raise InvalidatePoolError from error  # the pool then connects anew

    return engine


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url,
        json_serializer=json_serializer("sqlite"),
        json_deserializer=fast_json.loads,
        connect_args={"check_same_thread": False, "timeout": SQLITE_BUSY_SECONDS},
    )

    @event.listens_for(engine, "do_connect")
    def _make_folder(*_: Any) -> None:
        if url.database:
            try:
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Unavailable(f"database {url.database}: {error.strerror}") from error

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is deferred; ours is below
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that reads and then writes fails at once with "database is locked", whatever the
        # busy time limit; one that begins immediately waits for its turn.
        reading = connection.get_execution_options().get("yeeter_reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read from. Raises Unavailable.

    On SQLite with one view of the data; on PostgreSQL each statement has its own, as in all of our transactions (READ
    COMMITTED), and so needs none around it.
    """
    options = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {"yeeter_reading": True}
    with errors_of(engine), engine.connect().execution_options(**options) as connection:
        yield connection


@contextmanager
def errors_of(engine: Engine) -> Iterator[None]:
    """Turns what says "not now" into Unavailable, which callers answer by trying again; lets defects through.

    A deadlock (40P01) and a serialization failure (40001) are among the former: the transaction was rolled back as a
    whole, so its block can be run again as a whole. So are a full disk and a server that ends. A schema that is not
    this version's is SchemaMissing: callers need not try again.
    """
    try:
        yield
    except PoolTimeout as error:
        raise Unavailable("database: every connection is in use") from error
    except DBAPIError as error:
        if _has_other_schema(error):
            raise SchemaMissing(f"{_where(engine.url)}: {_said(error)}; run `yeeter db upgrade`") from error
        if _is_passing(error):
            raise Unavailable(f"{_where(engine.url)}: {_said(error)}") from error
        raise


def _is_passing(error: DBAPIError) -> bool:
    return (
        isinstance(error, OperationalError)
        or type(error) is DatabaseError  # the bare class: SQLite's file is damaged, or is no database
        or error.connection_invalidated
        or error.statement is None  # while connecting
    )


def _has_other_schema(error: DBAPIError) -> bool:
    text = str(error.orig)
    return getattr(error.orig, "pgcode", None) in _OTHER_SCHEMA_CODES or any(
        part in text for part in _OTHER_SCHEMA_TEXTS
    )


def _where(url: URL) -> str:
    """The URL as a whole would tell the password."""
    return f"database {url.database}" if url.get_backend_name() == "sqlite" else "database"


def _said(error: DBAPIError) -> str:
    """The driver's own text, which knows no password."""
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else "connection lost"
