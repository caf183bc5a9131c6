"""What the contract tests of the database share: a migrated database of each kind, and a run played on it by hand."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import pytest
from sqlalchemy import Engine

from app.adapters.database import SqlDatabase
from app.adapters.database.engine import make_engine
from app.domain.event import STEP_SUCCEEDED, Event
from app.domain.identity import accession_number, message_control_id, new_run_key, study_uid
from app.domain.job import Job, SlipEntry, job_id
from app.domain.run import OrderState, Run, RunState, StepState
from app.domain.work import (
    Claim,
    ClaimRequest,
    DeadLetterFilter,
    DeadLetterRow,
    Death,
    JobFinish,
    JobReference,
    NewStep,
    OrderAcknowledged,
    OrderIntent,
    OrderRow,
    OutboxEntry,
    RetryCause,
    StepOutcome,
    StepRow,
)
from app.ports import UnitOfWork
from tests.services.postgres import Postgres

TYPES = ("GENERATE_HL7", "GENERATE_DICOM", "SEND_DICOM")
QUEUE = "jobs"
EXPIRED = -1.0  # seconds: a lease that has just run out
Result = TypeVar("Result")


# --- databases: made once for all tests, which keep apart by their runs ---


@pytest.fixture(scope="session")
def sqlite_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlDatabase]:
    yield from _migrated(f"sqlite:///{tmp_path_factory.mktemp('database') / 'yeeter.db'}")


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> Iterator[SqlDatabase]:
    with postgres.new_database() as url:
        yield from _migrated(url)


def _migrated(url: str) -> Iterator[SqlDatabase]:
    database = SqlDatabase(url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> SqlDatabase:
    """A migrated database of each kind in turn; other tests' runs are in it too."""
    given: SqlDatabase = request.getfixturevalue(f"{request.param}_database")
    return given


@pytest.fixture
def play(database: SqlDatabase) -> Play:
    return Play(database)


@pytest.fixture
def engine(database: SqlDatabase) -> Iterator[Engine]:
    """The same database without the adapter, for what only another program would do."""
    engine = make_engine(url_of(database))
    yield engine
    engine.dispose()


def url_of(database: SqlDatabase) -> str:
    return database._engine.url.render_as_string(hide_password=False)


# --- a run ---


def new_run(**values: Any) -> Run:
    given: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "run_key": new_run_key(),
        "template_id": None,
        "template_name": "test",
        "template_version": 1,
        "document": {"name": "test"},
        "seed": secrets.randbelow(2**31),
        "base_time": datetime(2026, 1, 5, 8, 30),  # noqa: DTZ001 - local time of the simulated department
        "requested": 10,
        "state": RunState.PENDING,
        "created_at": datetime(2026, 1, 5, 8, 30),  # noqa: DTZ001 - the database sets its own
    }
    return Run(**given | values)


@dataclass
class Play:
    """A run that is played step by step. Every method is a transaction of its own, unless it is given one."""

    database: SqlDatabase
    run: Run = field(default_factory=new_run)
    types: Sequence[str] = TYPES
    queues: Sequence[str] = (QUEUE, QUEUE)  # of the steps behind the first one

    def __post_init__(self) -> None:
        with self.database.transaction() as work:
            work.runs.add(self.run)

    def do(self, block: Callable[[UnitOfWork], Result]) -> Result:
        with self.database.transaction() as work:
            return block(work)

    # Emission

    def intent(self, number: int, **values: Any) -> OrderIntent:
        key = self.run.run_key
        given: dict[str, Any] = {
            "number": number,
            "accession": accession_number(key, number),
            "control_id": message_control_id(key, number),
            "patient_id": f"P{number:06d}",
            "patient_name": "Müller^Änne^^Dr^",
            "birth_date": "19700101",
            "sex": "F",
            "modality": "CT",
            "study_uid": study_uid(key, number),
            "instances": 3,
        }
        return OrderIntent(**given | values)

    def begin(self, *numbers: int) -> None:
        with self.database.transaction() as work:
            work.orders.begin(self.run.id, [self.intent(number) for number in numbers])

    def job(self, number: int, position: int = 0, epoch: int = 0) -> Job:
        """The job whose slip begins with the step at ``position`` behind the first one."""
        slip = tuple(
            SlipEntry(index, self.types[index], self.queues[index - 1], {}, 60.0)
            for index in range(1 + position, len(self.types))
        )
        id_ = job_id(self.run.id, number, slip[0].index, epoch)
        return Job(id_, self.run.id, self.run.run_key, number, epoch, slip, {}, {}, {}, {})

    def steps(self) -> tuple[NewStep, ...]:
        first = NewStep(0, self.types[0], StepState.SUCCEEDED, starts=1)
        states = [StepState.READY, *[StepState.PENDING] * (len(self.types) - 2)]
        return first, *(NewStep(1 + i, self.types[1 + i], state) for i, state in enumerate(states))

    def acknowledge(self, *numbers: int) -> None:
        """Begin the orders, and acknowledge them with their steps, events and outbox entries."""
        self.begin(*numbers)
        with self.database.transaction() as work:
            accepted = ("AA", "MSA|AA", False, "", self.steps())
            outcomes = [OrderAcknowledged(number, OrderState.WAITING, *accepted) for number in numbers]
            written = work.orders.acknowledge(self.run.id, outcomes)
            assert written == set(numbers)
            data = {"type": self.types[0], "seconds": 0.01}
            work.journal.append([Event(self.run.id, STEP_SUCCEEDED, n, 0, 1, 0, data) for n in numbers])
            work.outbox.put([OutboxEntry.of(self.job(number)) for number in numbers])

    def publish(self, limit: int = 1000) -> list[int]:
        """What a relay does; the numbers of the orders whose jobs it took."""
        with self.database.transaction() as work:
            taken = work.outbox.take(self.run.id, limit)
            work.outbox.sent(taken, 0.001)
        return [message.order_number for message in taken]

    # Work

    def request(
        self, number: int, *indexes: int, epoch: int = 0, redelivered: bool = False, destination: str = ""
    ) -> ClaimRequest:
        return ClaimRequest(self.run.id, number, indexes or (1, 2), epoch, redelivered, destination)

    def claim(self, *requests: ClaimRequest | int, worker: str = "w1", seconds: float = 60.0) -> list[Claim]:
        wanted = [self.request(each) if isinstance(each, int) else each for each in requests]
        with self.database.transaction() as work:
            return work.jobs.claim(wanted, worker, seconds)

    def finished(self, number: int, claim: Claim, **values: Any) -> JobFinish:
        """The finish of a job whose steps, from the claim's head on, have all succeeded and which ends its order."""
        indexes = range(claim.head, len(self.types))
        given: dict[str, Any] = {
            "run_id": self.run.id,
            "order_number": number,
            "epoch": 0,
            "head": claim.head,
            "fence": claim.fence,
            "starts": claim.starts,
            "queue": QUEUE,
            "worker": "w1",
            "seconds": 0.5,
            "steps": tuple(outcome(index, self.types[index]) for index in indexes),
            "order_state": OrderState.COMPLETED,
            "instances_stored": 3,
        }
        return JobFinish(**given | values)

    def retried(
        self, number: int, claim: Claim, cause: RetryCause, delay: float = 0.0, done: int = 0, **values: Any
    ) -> JobFinish:
        """The finish of a job that is to be tried again, for the step behind the ``done`` ones that succeeded."""
        index = claim.head + done
        epoch = values.get("epoch", 0)
        again = outcome(index, self.types[index], StepState.READY, error=f"a {cause}", cause=cause)
        given: dict[str, Any] = {
            "steps": (*(outcome(i, self.types[i]) for i in range(claim.head, index)), again),
            "following": OutboxEntry.of(self.job(number, index - 1, epoch), delay, claim.starts),
            "order_state": None,
            "instances_stored": 0,
        }
        return self.finished(number, claim, **given | values)

    def died(self, number: int, claim: Claim, done: int = 0, **values: Any) -> JobFinish:
        """The finish of a job that is given up, at the step behind the ``done`` ones that succeeded."""
        index = claim.head + done
        given: dict[str, Any] = {
            "steps": (
                *(outcome(i, self.types[i]) for i in range(claim.head, index)),
                outcome(index, self.types[index], StepState.FAILED, error="no good"),
                *(outcome(i, self.types[i], StepState.CANCELLED) for i in range(index + 1, len(self.types))),
            ),
            "order_state": OrderState.FAILED,
            "reason": f"{self.types[index]}: no good",
            "instances_stored": 0,
            "death": Death("permanent", "no good", "Traceback: ..."),
            "body": '{"a": "job"}',
        }
        return self.finished(number, claim, **given | values)

    def release(self, waiting_for: str, limit: int = 1000, *, probe: bool = False) -> list[JobReference]:
        """What a producer does: parked jobs go into the outbox again."""

        def release(work: UnitOfWork) -> list[JobReference]:
            released = work.jobs.release(self.run.id, waiting_for, limit, probe=probe)
            work.outbox.put(
                [
                    OutboxEntry.of(self.job(each.order_number, each.step_index - 1, each.epoch), starts=each.starts)
                    for each in released
                ]
            )
            return released

        return self.do(release)

    def parked(self) -> dict[str, int]:
        return {each.waiting_for: each.jobs for each in self.database.queries.parked(self.run.id)}

    def letters(self, **wanted: Any) -> list[DeadLetterRow]:
        """The run's dead letters, the newest first."""
        wanted = {"state": None, "run": self.run.id} | wanted
        return self.database.queries.dead_letters(DeadLetterFilter(**wanted), after=None, limit=1000).rows

    def finish(self, *finishes: JobFinish) -> list[bool]:
        with self.database.transaction() as work:
            return work.jobs.finish(finishes)

    # What has come of it

    def order(self, number: int) -> OrderRow:
        return self.database.queries.order(self.run.id, number)[0]

    def step(self, number: int, index: int) -> StepRow:
        return self.database.queries.order(self.run.id, number)[1][index]

    def step_states(self, number: int) -> list[StepState]:
        return [step.state for step in self.database.queries.order(self.run.id, number)[1]]

    def counts(self) -> dict[OrderState, int]:
        """Of the states that an order is in."""
        with self.database.transaction() as work:
            return {state: count for state, count in work.orders.counts(self.run.id).items() if count}

    def waiting(self) -> int:
        with self.database.transaction() as work:
            return work.outbox.waiting(self.run.id)

    def events(self, number: int | None = None) -> list[Event]:
        found, _ = self.database.feed.read(self.run.id, None, 1_000_000, number)
        return [recorded.event for recorded in found]

    def kinds(self, number: int | None = None) -> list[str]:
        return [event.kind for event in self.events(number)]

    def move(self, *states: RunState) -> None:
        for state in states:
            with self.database.transaction() as work:
                work.runs.move(self.run.id, state)


def outcome(index: int, type_: str, state: StepState = StepState.SUCCEEDED, **values: Any) -> StepOutcome:
    return StepOutcome(index, type_, state, 0.25, **values)


def tables_with_rows_of(engine: Engine, run_id: str) -> list[str]:
    """Tables that still have rows of a run."""
    with engine.connect() as connection:
        hot = ("simulation_orders", "simulation_step_executions", "simulation_run_events", "outbox", "parked_jobs")
        tables = (*hot, "dead_letters", "simulation_findings", "simulation_summaries")
        named = [*((table, "run_id") for table in tables), ("simulation_runs", "id")]
        return [
            table
            for table, column in named
            if connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE {column} = '{run_id}'").scalar_one()
        ]
