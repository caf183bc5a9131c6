"""Destinations as all processes know them: a breaker that opens, is probed and closes, and a rate that all share."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from app.adapters.database import SqlDatabase
from app.adapters.database.clock import read_now
from app.adapters.database.destinations import PROBE_SECONDS
from app.adapters.database.tables import destinations
from app.domain.work import DestinationRow, DestinationState
from tests.contract.database_fixtures import url_of

PROCESSES = 4
OPEN, CLOSED = DestinationState.OPEN, DestinationState.CLOSED


@pytest.fixture
def key() -> str:
    return f"dicom:ARCHIVE@{uuid.uuid4()}:104"


@pytest.fixture
def processes(database: SqlDatabase) -> Iterator[list[SqlDatabase]]:
    """Several programs at the same database: each with connections of its own."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(SqlDatabase(url_of(database)))) for _ in range(PROCESSES)]


def report(database: SqlDatabase, key: str, fault: str = "", *, misconfigured: bool = False) -> DestinationRow:
    with database.transaction() as work:
        return work.destinations.report(key, fault, misconfigured=misconfigured)


def get(database: SqlDatabase, key: str) -> DestinationRow | None:
    with database.transaction() as work:
        return work.destinations.get(key)


def may_probe(database: SqlDatabase, key: str) -> bool:
    with database.transaction() as work:
        return work.destinations.may_probe(key)


def take(database: SqlDatabase, key: str, rate: float, wanted: int) -> tuple[int, float]:
    with database.transaction() as work:
        return work.destinations.take(key, rate, wanted)


def make_older(engine: Engine, key: str, column: str, seconds: float) -> None:
    """Sets a moment of the row back, as if that much time had passed."""
    with engine.begin() as connection:
        moment = read_now(connection) - timedelta(seconds=seconds)
        connection.execute(update(destinations).where(destinations.c.key == key).values({column: moment}))


# --- the breaker ---


def test_nothing_is_known_against_a_destination_at_first(database: SqlDatabase, key: str) -> None:
    assert get(database, key) is None
    answered = report(database, key)
    assert (answered.key, answered.state, answered.faults, answered.reason) == (key, CLOSED, 0, "")
    assert get(database, key) is None  # an answer as usual writes nothing
    assert not may_probe(database, key)


def test_the_fifth_fault_in_a_row_opens_it(database: SqlDatabase, key: str) -> None:
    rows = [report(database, key, f"refused {count}") for count in range(6)]
    assert [row.state for row in rows] == [CLOSED] * 4 + [OPEN] * 2
    assert [row.faults for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row.reason for row in rows] == [f"refused {count}" for count in range(6)]
    assert all(row.next_probe_at is None for row in rows[:4])
    opened, later = rows[4:]
    assert opened.next_probe_at is not None and opened.since >= rows[0].since
    assert opened.next_probe_at - opened.since == timedelta(seconds=PROBE_SECONDS)
    assert (later.since, later.next_probe_at) == (opened.since, opened.next_probe_at)
    assert get(database, key) == later
    assert later in database.queries.destinations()


def test_an_answer_starts_the_count_anew(database: SqlDatabase, key: str) -> None:
    for _ in range(4):
        report(database, key, "refused")
    answered = report(database, key)
    assert (answered.state, answered.faults, answered.reason) == (CLOSED, 0, "")
    rows = [report(database, key, "refused") for _ in range(5)]
    assert [row.state for row in rows] == [CLOSED] * 4 + [OPEN]


def test_an_answer_closes_it(database: SqlDatabase, key: str) -> None:
    for _ in range(5):
        opened = report(database, key, "refused")
    closed = report(database, key)
    assert (closed.state, closed.faults, closed.reason, closed.next_probe_at) == (CLOSED, 0, "", None)
    assert closed.since >= opened.since
    assert not may_probe(database, key)


def test_a_misconfiguration_opens_it_at_once(database: SqlDatabase, key: str) -> None:
    opened = report(database, key, "called AE title not recognized \x00", misconfigured=True)
    assert (opened.state, opened.faults) == (OPEN, 1)
    assert opened.reason == "called AE title not recognized \ufffd"


def test_faults_that_many_report_at_once_are_all_counted(
    processes: list[SqlDatabase], key: str, engine: Engine
) -> None:
    with ThreadPoolExecutor(PROCESSES) as threads:
        rows = list(threads.map(lambda turn: report(processes[turn % PROCESSES], key, "refused"), range(20)))
    assert sorted(row.faults for row in rows) == list(range(1, 21))
    assert sum(row.state is OPEN for row in rows) == 16


# --- probing ---


def test_a_destination_that_has_only_just_opened_is_not_probed(database: SqlDatabase, key: str, engine: Engine) -> None:
    report(database, key, "no such AE", misconfigured=True)
    make_older(engine, key, "next_probe_at", -3600.0)
    assert not may_probe(database, key)


def test_an_open_destination_is_probed_once_every_five_seconds_over_all(
    processes: list[SqlDatabase], key: str, engine: Engine
) -> None:
    report(processes[0], key, "no such AE", misconfigured=True)
    for _ in range(3):
        make_older(engine, key, "next_probe_at", 0.01)
        together = threading.Barrier(PROCESSES)

        def attempt(process: SqlDatabase, together: threading.Barrier = together) -> bool:
            together.wait()
            return may_probe(process, key)

        begun = time.monotonic()
        with ThreadPoolExecutor(PROCESSES) as threads:
            turns = sum(threads.map(attempt, processes))
        assert 1 <= turns <= 1 + (time.monotonic() - begun) // PROBE_SECONDS


# --- the rate ---


@pytest.mark.parametrize(("rate", "burst"), [(100.0, 50), (2.0, 1), (0.5, 1), (0.001, 1)])
def test_a_bucket_that_is_full_holds_half_a_second_and_one_at_least(
    database: SqlDatabase, key: str, rate: float, burst: int
) -> None:
    assert take(database, key, rate, 10_000) == (burst, 0.0)


def test_no_more_than_is_wanted_is_taken(database: SqlDatabase, key: str) -> None:
    assert [take(database, key, 6.0, 1) for _ in range(3)] == [(1, 0.0)] * 3


def test_an_empty_bucket_says_how_long_to_wait(database: SqlDatabase, key: str) -> None:
    assert take(database, key, 0.01, 10) == (1, 0.0)
    granted, wait = take(database, key, 0.01, 10)
    assert granted == 0 and 60 < wait <= 100


def test_a_bucket_fills_with_time_and_not_beyond_its_rim(database: SqlDatabase, key: str, engine: Engine) -> None:
    rate = 0.001
    assert take(database, key, rate, 10)[0] == 1
    make_older(engine, key, "refilled_at", 500.0)
    granted, wait = take(database, key, rate, 10)
    assert granted == 0 and 0 < wait <= 500.0
    make_older(engine, key, "refilled_at", 36_000.0)
    assert take(database, key, rate, 10)[0] == 1


def test_a_clock_that_was_set_back_takes_nothing_away(database: SqlDatabase, key: str, engine: Engine) -> None:
    assert take(database, key, 0.01, 10)[0] == 1
    with engine.begin() as connection:
        connection.execute(
            update(destinations).where(destinations.c.key == key).values(refilled_at=read_now(connection), tokens=1.0)
        )
    make_older(engine, key, "refilled_at", -3600.0)
    assert take(database, key, 0.01, 10)[0] == 1


def test_several_processes_share_one_rate(processes: list[SqlDatabase], key: str) -> None:
    rate, burst, wanted = 50.0, 25, 75
    left = threading.Semaphore(wanted)
    begun = time.monotonic()

    def send(process: SqlDatabase) -> int:
        sent = 0
        while left.acquire(blocking=False):
            while True:
                granted, wait = take(process, key, rate, 1)
                if granted:
                    break
                time.sleep(wait)
            sent += 1
        return sent

    with ThreadPoolExecutor(PROCESSES) as threads:
        assert sum(threads.map(send, processes)) == wanted
    assert time.monotonic() - begun >= (wanted - burst) / rate - 0.01


def test_a_rate_says_nothing_against_a_destination(database: SqlDatabase, key: str) -> None:
    take(database, key, 10.0, 1)
    row = get(database, key)
    assert row is not None
    assert (row.state, row.faults, row.reason, row.next_probe_at) == (CLOSED, 0, "", None)
    assert report(database, key, "refused").faults == 1
