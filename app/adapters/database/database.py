"""The database behind one door: transactions, queries, the feed, migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock

from sqlalchemy import Connection, Engine

from app.adapters.database.benchmarks import SqlBenchmarks
from app.adapters.database.dead_letters import SqlDeadLetters
from app.adapters.database.destinations import SqlDestinations
from app.adapters.database.engine import errors_of, make_engine, reading
from app.adapters.database.event_feed import SqlEventFeed
from app.adapters.database.figures import SqlRunFigures
from app.adapters.database.idempotency import SqlIdempotencyKeys
from app.adapters.database.jobs import SqlJobs
from app.adapters.database.journal import SqlJournal
from app.adapters.database.migrations import problem_of, revision_of, upgrade
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
            upgrade(connection)

    def check(self) -> str:
        with reading(self._engine) as connection:
            name, revision = connection.dialect.name, revision_of(connection)
        if problem := problem_of(name, revision):
            raise SchemaMissing(problem)
        return f"{name}, schema {revision}"

    def close(self) -> None:
        self._engine.dispose()

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        with self._turn, errors_of(self._engine), self._engine.begin() as connection:
            yield connection
