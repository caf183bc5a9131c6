"""Benchmarks as rows."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from app.adapters.database import SqlDatabase
from app.ports import Benchmark, BenchmarkRow


@pytest.fixture
def benchmark() -> Benchmark:
    """Of a suite of the test's own: the database is shared."""
    suite = f"s-{uuid4().hex[:12]}"
    figures = {"orders_per_second": 147.25, "problem": "", "latency_seconds": {"publish": {"p99": 0.25}}, "mib": None}
    return Benchmark(suite, "yeeter bench x", "1.2.3", {"cores": 2}, {"workers": 4, "pacs": "Ä@h:1"}, figures)


def add(database: SqlDatabase, benchmark: Benchmark) -> int:
    with database.transaction() as work:
        return work.benchmarks.add(benchmark)


def latest(database: SqlDatabase, suite: str | None, limit: int = 100) -> list[BenchmarkRow]:
    with database.transaction() as work:
        return work.benchmarks.latest(suite, limit)


def test_a_benchmark_comes_back_as_it_was(database: SqlDatabase, benchmark: Benchmark) -> None:
    id_ = add(database, benchmark)
    (row,) = latest(database, benchmark.suite)
    assert (row.id, row.benchmark) == (id_, benchmark)
    assert list(row.benchmark.figures) == list(benchmark.figures)
    assert row.at.tzinfo is not None


def test_the_newest_come_first_and_of_the_suite_that_is_asked_for(database: SqlDatabase, benchmark: Benchmark) -> None:
    ids = [add(database, benchmark) for _ in range(3)]
    other = add(database, replace(benchmark, suite=f"{benchmark.suite}-o"))
    assert [row.id for row in latest(database, benchmark.suite)] == ids[::-1]
    assert [row.id for row in latest(database, benchmark.suite, limit=2)] == ids[:0:-1]
    assert [row.id for row in latest(database, None, limit=2)] == [other, ids[2]]


def test_the_database_says_what_it_is(database: SqlDatabase) -> None:
    with database.transaction() as work:
        name, version = work.benchmarks.server().split()
    assert name in ("SQLite", "PostgreSQL") and version[0].isdigit()
