"""The database behind one door: transactions, queries, the feed, migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock

from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

import app
from alembic import command
from app.adapters.database.benchmarks import SqlBenchmarks
from app.adapters.database.dead_letters import SqlDeadLetters
from app.adapters.database.destinations import SqlDestinations
from app.adapters.database.engine import errors_of, make_engine, reading
from app.adapters.database.event_feed import SqlEventFeed
from app.adapters.database.figures import SqlRunFigures
from app.adapters.database.idempotency import SqlIdempotencyKeys
from app.adapters.database.jobs import SqlJobs
from app.adapters.database.journal import SqlJournal
from app.adapters.database.orders import SqlOrders
from app.adapters.database.outbox import SqlOutbox
from app.adapters.database.queries import SqlRunQueries
from app.adapters.database.retention import SqlRetention
from app.adapters.database.runs import SqlLeases, SqlRuns
from app.adapters.database.scaling import SqlPins, SqlScalingRecords
from app.adapters.database.templates import SqlTemplates
from app.adapters.database.webhooks import SqlWebhooks
from app.adapters.database.workers import SqlWorkers
from app.domain.errors import SchemaMissing

ROOT = Path(app.__file__).resolve().parent.parent
_PACKAGED = Path(__file__).parent / "alembic"  # where a wheel has the migrations
_MIGRATIONS = _PACKAGED if _PACKAGED.is_dir() else ROOT / "alembic"
_MIGRATION_LOCK = 0x79656574  # "yeet": API replicas that start together migrate one after the other


class SqlUnitOfWork:
    """One transaction's repositories."""

    def __init__(self, connection: Connection) -> None:
        self.templates = SqlTemplates(connection)
        self.runs = SqlRuns(connection)
        self.leases = SqlLeases(connection)
        self.orders = SqlOrders(connection)
        self.jobs = SqlJobs(connection)
        self.outbox = SqlOutbox(connection)
        self.dead_letters = SqlDeadLetters(connection)
        self.destinations = SqlDestinations(connection)
        self.journal = SqlJournal(connection)
        self.idempotency = SqlIdempotencyKeys(connection)
        self.scaling = SqlScalingRecords(connection)
        self.pins = SqlPins(connection)
        self.workers = SqlWorkers(connection)
        self.figures = SqlRunFigures(connection)
        self.benchmarks = SqlBenchmarks(connection)
        self.webhooks = SqlWebhooks(connection)
        self.retention = SqlRetention(connection)


class SqlDatabase:
    """PostgreSQL or SQLite, by the URL."""

    def __init__(self, url: str) -> None:
        self._engine: Engine = make_engine(url)
        self.queries = SqlRunQueries(self._engine)
        self.feed = SqlEventFeed(self._engine)
        # SQLite has one writer: threads of this process take turns here instead of polling the file's lock.
        self._turn: AbstractContextManager[object] = Lock() if self._engine.dialect.name == "sqlite" else nullcontext()

    @contextmanager
    def transaction(self) -> Iterator[SqlUnitOfWork]:
        with self._writer() as connection:
            yield SqlUnitOfWork(connection)

    def upgrade(self) -> None:
        with self._writer() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
            config = _alembic()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def check(self) -> str:
        with reading(self._engine) as connection:
            revision = MigrationContext.configure(connection).get_current_revision()
            name = connection.dialect.name
        wanted = ScriptDirectory.from_config(_alembic()).get_current_head()
        if revision != wanted:
            raise SchemaMissing(f"{name}: schema is at {revision or 'nothing'}, not {wanted}; run `yeeter db upgrade`")
        return f"{name}, schema {revision}"

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        with self._turn, errors_of(self._engine), self._engine.begin() as connection:
            yield connection


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
