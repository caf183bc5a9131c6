"""Producers as processes that are killed and frozen, against the real receiver and its ledger."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.adapters.database import SqlDatabase
from app.domain.event import TERMINAL_ORDER_KINDS
from app.domain.run import OrderState, Run, RunState
from app.runs.producing.exits import ProducerExit
from app.runs.start import RunRequest, start_run
from tests.qualify.amounts import amount
from tests.runs.conftest import STEPS, TYPES
from tests.runs.test_cancel import adds_up
from tests.services.processes import Program, wait_until

KILLS = amount("PRODUCER_KILLS", 3)
ORDERS = 100 * KILLS
PER_PRODUCER = 50  # orders, at least, before the next kill


@dataclass
class Site:
    """A database, a receiver with its ledger, and a run of orders alone, which any producer may run."""

    folder: Path
    url: str
    ledger: Path
    database: SqlDatabase
    run: Run
    programs: ExitStack
    started: int = 0

    def producer(self) -> Program:
        self.started += 1
        command = [sys.executable, "-m", "app.producer", self.run.id]
        theirs = ("YEETER_", "RABBITMQ_", "DATABASE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(theirs)} | {
            "YEETER_HOME": str(self.folder / "home"),
            "DATABASE_URL": self.url,
            "YEETER_LEASE_SECONDS": "1.5",
        }
        log = self.folder / f"producer-{self.started}.log"
        return self.programs.enter_context(Program(command, log, environment))

    def next_producer(self) -> Program:
        """One that has the run; the lease of the last one has to run out first."""
        wait_until(lambda: not self.is_held, 120, "the end of the lease")
        producer = self.producer()
        wait_until(lambda: self.is_held or not producer.running, 120, "the next producer")
        return producer

    @property
    def is_held(self) -> bool:
        with self.database.transaction() as work:
            return work.leases.remaining(self.run.id) > 0

    @property
    def acknowledged(self) -> int:
        with self.database.transaction() as work:
            return work.orders.counts(self.run.id)[OrderState.COMPLETED]

    def ended(self) -> Run:
        with self.database.transaction() as work:
            return work.runs.get(self.run.id)

    def received(self) -> Counter[str]:
        """How often the receiver was sent each control ID."""
        return Counter(_control_id(line) for line in self.ledger.read_text().splitlines())

    def control_ids(self) -> set[str]:
        rows = self.database.queries.orders(self.run.id, state=None, search=None, after=None, limit=2 * ORDERS).rows
        return {row.control_id for row in rows}

    def check_nothing_is_lost_or_invented(self) -> None:
        ended = self.ended()
        assert ended.state is RunState.COMPLETED, ended.reason
        assert adds_up(ended)["completed"] == ORDERS
        rows = self.database.queries.orders(self.run.id, state=None, search=None, after=None, limit=2 * ORDERS).rows
        received = self.received()
        assert set(received) == {row.control_id for row in rows} and len(rows) == ORDERS
        flagged = {row.control_id for row in rows if row.possibly_duplicated}
        assert {control_id for control_id, times in received.items() if times > 1} <= flagged
        events, _ = self.database.feed.read(self.run.id, None, 1_000_000)
        ends = Counter(e.event.order_number for e in events if e.event.kind in TERMINAL_ORDER_KINDS)
        assert ends == dict.fromkeys(range(ORDERS), 1)


def _control_id(line: str) -> str:
    entry: dict[str, Any] = json.loads(line)
    return str(entry["control_id"])


@pytest.fixture
def site(tmp_path: Path, sqlite_url: str) -> Iterator[Site]:
    with _site(tmp_path, sqlite_url) as made:
        yield made


@pytest.fixture
def site_on_postgres(tmp_path: Path, postgres_url: str) -> Iterator[Site]:
    with _site(tmp_path, postgres_url) as made:
        yield made


@contextmanager
def _site(tmp_path: Path, url: str) -> Iterator[Site]:
    database = SqlDatabase(url)
    database.upgrade()
    ledger = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-m", "app.receivers", "mllp", "--host", "127.0.0.1", "--port", "0"]
    with ExitStack() as programs:
        receiver = programs.enter_context(Program([*command, "--ledger", ledger], tmp_path / "receiver.log"))
        port = int(json.loads(receiver.wait_for_line(r"^\{.*\"port\".*\}$", 60).group())["port"])
        document = {
            "name": "orders-only",
            "destinations": {"hl7": f"127.0.0.1:{port}"},
            "arrival": {"model": "constant", "rate": 150},
            "steps": STEPS[:1],
        }
        request = RunRequest(document, orders=ORDERS, seed=1)
        run = start_run(database, TYPES, request, datetime(2026, 1, 5, 8, 0))  # noqa: DTZ001
        yield Site(tmp_path, url, ledger, database, run, programs)
    database.close()


def test_a_producer_that_is_killed_again_and_again_loses_and_invents_no_order(
    site: Site, record_property: Callable[[str, object], None]
) -> None:
    for _ in range(KILLS):
        producer = site.next_producer()
        enough = min(site.acknowledged + PER_PRODUCER, ORDERS - 40)
        wait_until(lambda: site.acknowledged >= enough, 120, "some orders")  # noqa: B023 - called at once
        assert producer.running
        producer.kill()
    last = site.next_producer()
    assert last.wait(120) == ProducerExit.ENDED, last.output
    received = site.received()
    record_property("producer_kills", KILLS)
    record_property("orders", ORDERS)
    record_property("orders_lost", ORDERS - len(received))
    record_property("orders_invented", len(set(received) - site.control_ids()))
    record_property("orders_received_again", sum(times - 1 for times in received.values()))
    site.check_nothing_is_lost_or_invented()


def test_a_producer_that_was_frozen_beyond_its_lease_stops_without_writing(site_on_postgres: Site) -> None:
    site = site_on_postgres
    frozen = site.next_producer()
    wait_until(lambda: site.acknowledged >= 30, 120, "some orders")
    _freeze_outside_a_transaction(site, frozen)
    second = site.next_producer()
    assert second.wait(180) == ProducerExit.ENDED, second.output
    site.check_nothing_is_lost_or_invented()
    told = site.database.feed.newest(site.run.id)
    frozen.signal(signal.SIGCONT)
    assert frozen.wait(120) == ProducerExit.OVERTAKEN, frozen.output
    assert "another producer has taken this run over" in frozen.output
    assert site.database.feed.newest(site.run.id) == told
    site.check_nothing_is_lost_or_invented()


def _freeze_outside_a_transaction(site: Site, producer: Program) -> None:
    """In the middle of one it would keep everybody else away, until the database itself gives it up after a minute."""
    of_others = "datname = current_database() AND pid <> pg_backend_pid()"
    busy = f"SELECT count(*) FROM pg_stat_activity WHERE state <> 'idle' AND {of_others}"
    while True:
        producer.signal(signal.SIGSTOP)
        wait_until(lambda: _process_state(producer.pid) == "T", 60, "the producer to stand still")
        with site.database._engine.connect() as connection:
            if connection.exec_driver_sql(busy).scalar_one() == 0:
                return
        producer.signal(signal.SIGCONT)


def _process_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_producer_that_is_asked_to_leave_leaves_nothing_in_doubt(site: Site) -> None:
    first = site.next_producer()
    wait_until(lambda: site.acknowledged >= 30, 120, "some orders")
    first.signal(signal.SIGTERM)
    assert first.wait(120) == ProducerExit.HANDED_OVER, first.output
    assert not site.is_held
    assert site.ended().state is RunState.RUNNING
    second = site.next_producer()
    assert second.wait(120) == ProducerExit.ENDED, second.output
    site.check_nothing_is_lost_or_invented()
    summary = site.ended().summary
    assert summary is not None
    assert (summary["hl7"]["sent"], summary["hl7"]["possibly_duplicated"]) == (ORDERS, 0)
