"""Benchmarks, as they were measured."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import Connection, insert, select

from app.adapters.database.rowset import values_of
from app.adapters.database.tables import benchmarks
from app.ports import Benchmark, BenchmarkRow

_c = benchmarks.c
_NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


class SqlBenchmarks:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, benchmark: Benchmark) -> int:
        added = self._connection.execute(insert(benchmarks).values(values_of(benchmark)).returning(_c.id))
        return int(added.scalar_one())

    def latest(self, suite: str | None, limit: int) -> list[BenchmarkRow]:
        query = select(benchmarks).order_by(_c.id.desc()).limit(limit)
        if suite is not None:
            query = query.where(_c.suite == suite)
        names = [field.name for field in fields(Benchmark)]
        return [
            BenchmarkRow(row.id, row.at, Benchmark(**{name: row._mapping[name] for name in names}))
            for row in self._connection.execute(query)
        ]

    def server(self) -> str:
        dialect = self._connection.dialect
        version = ".".join(map(str, dialect.server_version_info or ()))
        return f"{_NAMES[dialect.name]} {version}".strip()
