"""What can be found after a run: rows and events, what the receivers have, what the queues still hold. No judgement."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pika
from pika.exceptions import ChannelClosedByBroker
from sqlalchemy import Connection, NullPool, create_engine, text

from tests.chaos.archives import Study

Rows = list[dict[str, Any]]
DEAD_QUEUE = "yeeter.dead"
OF_A_RUN = {
    "orders": "SELECT * FROM simulation_orders WHERE run_id = :run ORDER BY number",
    "steps": "SELECT * FROM simulation_step_executions WHERE run_id = :run ORDER BY order_number, step_index",
    "events": "SELECT * FROM simulation_run_events WHERE run_id = :run ORDER BY xid, id",
    "outbox": "SELECT * FROM outbox WHERE run_id = :run",
    "parked": "SELECT * FROM parked_jobs WHERE run_id = :run",
    "dead_letters": "SELECT * FROM dead_letters WHERE run_id = :run",
    "findings": "SELECT * FROM simulation_findings WHERE run_id = :run",
}
NO_JOBS = "SELECT * FROM dead_letters WHERE run_id IS NULL"
RUN = "SELECT * FROM simulation_runs WHERE id = :run"


class Message(NamedTuple):
    """An order that the receiver has kept."""

    control_id: str
    accession: str
    patient_id: str


@dataclass(slots=True)
class Evidence:
    """Rows are mappings by column; ``queues`` holds what is ready in each queue."""

    run: dict[str, Any]
    orders: Rows
    steps: Rows
    events: Rows
    outbox: Rows = field(default_factory=list)
    parked: Rows = field(default_factory=list)
    dead_letters: Rows = field(default_factory=list)
    findings: Rows = field(default_factory=list)
    no_jobs: Rows = field(default_factory=list)  # dead letters of no run
    studies: Sequence[Study] = ()
    messages: Sequence[Message] = ()
    queues: dict[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, Any]:
        return self.run["summary"] or {}


def read_rows(url: str, run_id: str) -> Evidence:
    """The database's part of the evidence; the rest is for the caller to add."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=NullPool)
    with engine.connect() as connection:
        (run,) = _rows(connection, RUN, run_id)
        parts = {name: _rows(connection, statement, run_id) for name, statement in OF_A_RUN.items()}
        return Evidence(run=run, no_jobs=_rows(connection, NO_JOBS, run_id), **parts)


def _rows(connection: Connection, statement: str, run_id: str) -> Rows:
    given = {"run": run_id} if ":run" in statement else {}
    return [_readable(dict(row)) for row in connection.execute(text(statement), given).mappings()]


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    """JSON columns come as text from SQLite, which a plain statement does not know from others."""
    for name in ("data", "summary"):
        if isinstance(row.get(name), str):
            row[name] = json.loads(row[name])
    return row


def read_ledger(path: Path) -> list[Message]:
    """A message for each copy of an order that was kept; that one came again is a line of the file, too."""
    lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [
        Message(line["control_id"], line["accession"], line["patient_id"])
        for line in lines
        for _ in range(line.get("copies", 0))
    ]


def read_queues(url: str, queues: Iterable[str]) -> dict[str, int]:
    """Messages that are ready, asked of the broker itself by passive declaration; -1 for a queue that is not there."""
    ready = {}
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for queue in queues:
            try:
                ready[queue] = connection.channel().queue_declare(queue, passive=True).method.message_count
            except ChannelClosedByBroker:
                ready[queue] = -1
    return ready
