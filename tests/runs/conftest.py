"""A whole run in one process: SQLite, in-process queue, fakes for what is outside."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.adapters.database import SqlDatabase
from app.domain.event import RecordedEvent
from app.domain.run import Run
from app.domain.template import StepTypes
from app.ports import JobObserver, Tracing
from app.runs.parts import Parts, Rhythm
from app.runs.producing.produce import Producer
from app.runs.start import RunRequest, start_run, template_of
from app.runs.working.isolation import Isolation
from app.runs.working.work import Worker, WorkerOptions
from app.util.answering_process import AnsweringProcess
from tests.runs.fakes import (
    FakeArchive,
    FakeLedger,
    FakeOrderSender,
    FakeStep,
    FakeSteps,
    FakeStudyStore,
    generated,
    stored,
)

BASE_TIME = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - local time of the simulated department
QUEUE = "jobs"
TYPES = StepTypes(
    dict.fromkeys(("GENERATE_HL7", "GENERATE_DICOM", "SEND_DICOM", "WAIT", "DANGEROUS"), lambda parameters: None)
)
STEPS = [{"type": "GENERATE_HL7", "queue_async": True}, {"type": "GENERATE_DICOM"}, {"type": "SEND_DICOM"}]


def no_child() -> AnsweringProcess:
    """Suspicious jobs wait, in a test that does not want any."""
    raise OSError("this test has no child processes")


@dataclass
class World:
    """Everything a run needs, each part replaceable before it starts."""

    database: SqlDatabase
    broker: InProcessBroker
    hl7_port: int
    sender: FakeOrderSender = field(default_factory=FakeOrderSender)
    steps: FakeSteps = field(
        default_factory=lambda: FakeSteps({"GENERATE_DICOM": FakeStep(generated), "SEND_DICOM": FakeStep(stored)})
    )
    studies: FakeStudyStore = field(default_factory=FakeStudyStore)
    archive: FakeArchive = field(default_factory=FakeArchive)
    ledger: FakeLedger = field(default_factory=FakeLedger)
    start_child: Callable[[], AnsweringProcess] = no_child
    tracing: Tracing | None = None
    inline: InProcessBroker | None = None  # as over a broker; None: embedded
    backpressure_mark: int = 5000
    reconcile_within: float = 0.0
    lease_seconds: float = 5.0
    rhythm: Rhythm = field(
        default_factory=lambda: Rhythm(housekeeping=0.05, sweep=0.1, quiet=0.3, stall=0.3, probe=0.02)
    )

    def start(
        self,
        orders: int = 5,
        steps: list[dict[str, Any]] | None = None,
        hl7: dict[str, Any] | None = None,
        **template: Any,
    ) -> Run:
        """``hl7``: what its order receiver has beside its address."""
        receiver = {"host": "127.0.0.1", "port": self.hl7_port} | (hl7 or {})
        document = {
            "name": "test",
            "modalities": {"CT": 1},
            "study": {"preset": "single", "pixels": "tiny"},
            "destinations": {"hl7": receiver, "dicom": "ARCHIVE@127.0.0.1:104"},
            "steps": steps or STEPS,
        } | template
        return start_run(self.database, TYPES, RunRequest(document, orders=orders, seed=1), BASE_TIME)

    def parts(self) -> Parts:
        return Parts(
            database=self.database,
            broker=self.broker,
            inline=self.inline or self.broker,
            steps=self.steps,
            studies=self.studies,
            archive=self.archive,
            ledger=self.ledger,
            open_sender=lambda destination: self.sender,
            order_queue=QUEUE,
            backpressure_mark=self.backpressure_mark,
            lease_seconds=self.lease_seconds,
            reconcile_within=self.reconcile_within,
            rhythm=self.rhythm,
            tracing=self.tracing,
        )

    def producer(self, run: Run) -> Producer:
        return Producer(self.parts(), run, template_of(run))

    def worker(
        self,
        *queues: str,
        name: str = "w",
        concurrency: int = 2,
        prefetch: int = 32,
        lease: float = 60.0,
        step_grace: float = 5.0,
        broker: Any = None,
        observers: Iterable[JobObserver] = (),
    ) -> Worker:
        options = WorkerOptions(name, queues or (QUEUE,), concurrency, prefetch, lease, step_grace)
        isolation = Isolation(self.start_child, step_grace)
        broker = broker or self.broker
        return Worker(options, broker, self.database, self.steps, self.studies, isolation, observers, self.tracing)

    def run_to_end(self, run: Run, *queues: str) -> Run:
        worker = self.worker(*queues)
        worker.start()
        try:
            return self.producer(run).produce()
        finally:
            assert worker.stop(grace=10.0)

    def events(self, run: Run, *kinds: str) -> list[RecordedEvent]:
        events, _ = self.database.feed.read(run.id, None, 100_000)
        return [event for event in events if not kinds or event.event.kind in kinds]

    def notes(self, run: Run) -> list[str]:
        """What people were told of the run."""
        return [event.event.data["text"] for event in self.events(run, "run.note")]


@pytest.fixture
def listening_port() -> Iterator[int]:
    """A port that accepts connections, so that preflight finds the order receiver."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def world(tmp_path: Path, listening_port: int) -> Iterator[World]:
    database = SqlDatabase(f"sqlite:///{tmp_path / 'yeeter.db'}")
    database.upgrade()
    broker = InProcessBroker()
    broker.declare([QUEUE])
    yield World(database, broker, listening_port)
    broker.close()
    database.close()
