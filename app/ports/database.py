"""The database: rows that change in one transaction, what can be read, and the feed of events."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from app.domain.event import Event, RecordedEvent
from app.domain.run import OrderState, Run, RunState, Verdict
from app.domain.template import Template
from app.domain.work import (
    Claim,
    ClaimRequest,
    DeadLetterFilter,
    DeadLetterRow,
    DestinationRow,
    Finding,
    JobFinish,
    JobReference,
    NewDeadLetter,
    OrderAcknowledged,
    OrderIntent,
    OrderRow,
    OutboxEntry,
    OutboxMessage,
    ParkedCount,
    StepRow,
    TemplateRow,
    Totals,
    Withdrawn,
)
from app.ports.benchmarks import Benchmarks
from app.ports.metrics import Period, RunFigures, WorkerShareRow
from app.ports.retention import Retention
from app.ports.scaling import Pins, ScalingRecord, ScalingRecords, Workers
from app.ports.webhooks import Webhooks

Row = TypeVar("Row")


class Templates(Protocol):
    """The templates' rows. Raises NotFound for an id or name that is not there."""

    def add(self, template: Template, *, shipped: bool = False) -> TemplateRow:
        """Raises Conflict when the name is taken."""
        ...

    def replace(self, id_or_name: str, template: Template, *, shipped: bool = False) -> TemplateRow:
        """Writes the next version. Raises Conflict when the new name is taken."""
        ...

    def remove(self, id_or_name: str) -> None: ...

    def get(self, id_or_name: str, *, lock: bool = False) -> TemplateRow:
        """``lock`` keeps other writers away from it until the transaction ends."""
        ...

    def all(self) -> list[TemplateRow]: ...


class Runs(Protocol):
    """The runs' rows. Raises NotFound for a run that is not there."""

    def add(self, run: Run) -> None:
        """Raises Conflict when the run key is taken."""
        ...

    def get(self, id_or_key: str, *, lock: bool = False) -> Run:
        """``lock`` keeps other writers away from its row until the transaction ends."""
        ...

    def move(self, run_id: str, state: RunState, reason: str = "") -> Run:
        """Change the state, with its event. Raises Conflict when the transition table does not have it."""
        ...

    def conclude(self, run_id: str, summary: dict[str, Any], verdict: Verdict) -> None:
        """Store the summary and verdict of the present epoch; those of earlier ones are kept beside it."""
        ...

    def reopen(self, run_id: str, reason: str) -> Run:
        """From COMPLETED_WITH_ERRORS or FAILED back to WAITING_ON_WORKERS, at the next epoch. Raises Conflict."""
        ...

    def remove(self, run_id: str) -> None:
        """Delete a run and all its rows. Raises Conflict while it is not terminal."""
        ...


class Leases(Protocol):
    """Who runs a run. Times are the database's."""

    def acquire(self, run_id: str, seconds: float) -> str:
        """A fence for a run that nobody holds. Raises Conflict while another holder's lease runs."""
        ...

    def renew(self, run_id: str, fence: str, seconds: float) -> RunState:
        """Prolong; the run's present state. Raises Conflict when the lease was taken over."""
        ...

    def hold(self, run_id: str, fence: str) -> RunState:
        """Keep others from taking the run over until this transaction ends; its present state.

        What a producer writes begins with this: one that was frozen, and overtaken, can't write any more.

        Raises:
            Conflict: the lease was taken over.
        """
        ...

    def remaining(self, run_id: str) -> float:
        """Seconds that the lease still runs; 0 when nobody holds the run."""
        ...

    def release(self, run_id: str, fence: str) -> None: ...


class Orders(Protocol):
    """The orders' rows of a run, in groups."""

    def begin(self, run_id: str, intents: Sequence[OrderIntent]) -> None:
        """Write the intents; one that is there already stays as it is."""
        ...

    def acknowledge(self, run_id: str, outcomes: Sequence[OrderAcknowledged]) -> set[int]:
        """End the emission of orders that are SENDING, and make their steps; their numbers.

        The others were acknowledged before (by a transaction whose commit got no answer, or by another producer):
        nothing is written for them, and whoever calls writes nothing either.
        """
        ...

    def forget(self, run_id: str, numbers: Sequence[int]) -> None:
        """Remove orders that never left, if they are SENDING: they count as not emitted."""
        ...

    def begun(self, run_id: str) -> dict[int, bool]:
        """The numbers of the orders that have a row, each with whether it is still SENDING."""
        ...

    def any_acknowledgement(self, run_id: str) -> str:
        """The text of one positive acknowledgement, empty where there is none: it says who the receiver is."""
        ...

    def cancel_waiting(self, run_id: str) -> int:
        """Cancel every order whose job nobody has claimed, with its steps, outbox rows and events; how many."""
        ...

    def counts(self, run_id: str) -> dict[OrderState, int]: ...


class Jobs(Protocol):
    """Claiming and finishing jobs, in groups; the step executions' rows."""

    def claim(self, requests: Sequence[ClaimRequest], worker: str, lease_seconds: float) -> list[Claim]:
        """One answer a request, in order. A claim raises ``starts`` and sets a new fence and lease."""
        ...

    def finish(self, finishes: Sequence[JobFinish]) -> list[bool]:
        """Write outcomes, events and what follows; False for a job whose fence is no longer ours (nothing written)."""
        ...

    def renew(self, claims: Sequence[tuple[ClaimRequest, Claim]], lease_seconds: float) -> list[bool]:
        """Prolong the leases of jobs that somebody is at; False for one whose fence is no longer ours."""
        ...

    def give_up(self, claims: Sequence[tuple[ClaimRequest, Claim]]) -> None:
        """Back to READY: claimed, but not begun (a worker that stops). Such a start does not count as lost."""
        ...

    def outstanding(self, run_id: str) -> bool:
        """Whether an order of the run is unfinished, or a job waits to be published."""
        ...

    def published(self, run_id: str) -> int:
        """How many jobs of unfinished orders are with the broker or a worker: neither in the outbox nor parked."""
        ...

    def lost(self, run_id: str, ready_seconds: float, after: int, limit: int) -> tuple[list[JobReference], int | None]:
        """Jobs nobody will run by themselves, among the ``limit`` unfinished orders behind number ``after``.

        That is: claimed under a lease that has run out, or READY and not in the outbox since ``ready_seconds``. With
        the number to go on from (None at the end). They are locked; whoever asks puts them into the outbox.
        """
        ...

    def recover(self, run_id: str, step_indexes: Sequence[int] | None = None) -> int:
        """Back to READY, whatever their leases say: claims of workers that are known to be gone; how many.

        ``step_indexes``: only jobs whose head is one of these steps. Such a start counts as lost.
        """
        ...

    def unfinished(self, run_id: str, order_number: int, step_index: int, epoch: int) -> JobReference | None:
        """The job whose head is now that step of that epoch, or a later one of its order; locked. None: finished."""
        ...

    def parked(self, run_id: str) -> list[ParkedCount]:
        """What the run's parked jobs wait for."""
        ...

    def release(self, run_id: str, waiting_for: str, limit: int, *, probe: bool = False) -> list[JobReference]:
        """READY again, the oldest first; whoever asks puts them into the outbox. A ``probe`` may run though its
        destination is held to be away."""
        ...

    def withdraw(self, run_id: str, step_indexes: Sequence[int], limit: int) -> list[Withdrawn]:
        """Take jobs that are READY at one of these steps and published, but claimed by nobody.

        They are ours without having been started. Whoever asks finishes them, or sets them aside, in this transaction.
        """
        ...

    def set_aside(self, run_id: str, withdrawn: Sequence[Withdrawn], waiting_for: str, reason: str) -> None:
        """Park them: they wait until they are released."""
        ...


class DeadLetters(Protocol):
    """Jobs that are given up, with what is known of them. Those of a job are written when it finishes."""

    def add(self, letters: Sequence[NewDeadLetter]) -> None:
        """Dead messages that name no row."""
        ...

    def get(self, id_: int) -> DeadLetterRow:
        """Raises NotFound."""
        ...

    def matching(self, wanted: DeadLetterFilter, limit: int) -> list[int]:
        """Ids, the oldest first."""
        ...

    def reopen(self, ids: Sequence[int]) -> dict[str, int]:
        """Have the jobs of these letters go on where they failed, at the next epoch; how many of each run.

        Their orders wait again (``order.reopened``), their failed steps are PARKED for REOPENED, the cancelled ones
        behind them PENDING. Letters that are not OPEN, or name no row, are left as they are.
        """
        ...

    def discard(self, ids: Sequence[int]) -> int:
        """Settle without doing anything; how many of them were OPEN."""
        ...


class Destinations(Protocol):
    """Where studies and orders go, as all processes know it: breaker and rate. Keys are those of the destinations."""

    def report(self, key: str, fault: str, *, misconfigured: bool = False) -> DestinationRow:
        """A transport fault, or with an empty ``fault`` an answer; how the destination stands now.

        The fifth fault in a row opens it, a misconfiguration at once; an answer closes it.
        """
        ...

    def get(self, key: str) -> DestinationRow | None:
        """None: nothing is known against it."""
        ...

    def may_probe(self, key: str) -> bool:
        """Whether it is our turn to send somebody to an OPEN one: once every 5 s over all processes."""
        ...

    def take(self, key: str, rate: float, wanted: int) -> tuple[int, float]:
        """Permissions to send under ``rate`` a second, at most ``wanted``, and seconds to wait where none was left."""
        ...


class Outbox(Protocol):
    """Jobs that wait to be published."""

    def put(self, entries: Sequence[OutboxEntry]) -> None: ...

    def take(self, run_id: str, limit: int) -> list[OutboxMessage]:
        """The oldest due entries; locked against other relays until the transaction ends."""
        ...

    def sent(self, messages: Sequence[OutboxMessage], publish_seconds: float) -> None:
        """Remove them, with a ``job.queued`` event each; ``publish_seconds`` is how long the confirm took."""
        ...

    def waiting(self, run_id: str) -> int:
        """How many entries there are, due or not."""
        ...

    def due(self, queues: Collection[str]) -> int:
        """How many entries of these queues could be published now, of whatever run."""
        ...


class Journal(Protocol):
    """Writes events and findings."""

    def append(self, events: Sequence[Event]) -> None: ...

    def find(self, run_id: str, epoch: int, findings: Sequence[Finding]) -> None:
        """Replace the findings of this epoch."""
        ...


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An ``Idempotency-Key`` and whose it is: callers choose theirs without knowing of each other."""

    caller: str
    key: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What a request was answered the first time."""

    status: int
    headers: dict[str, str]
    body: Any


class IdempotencyKeys(Protocol):
    """Requests that were sent under a key, each with its answer for 24 hours. Times are the database's."""

    def claim(self, key: RequestKey, fingerprint: str, seconds: float) -> str | KeptAnswer:
        """The answer that this request had; or a fence to work on it under, which others may take after ``seconds``.

        Raises:
            Conflict: it is being worked on.
            InvalidInput: the key was used for another request.
        """
        ...

    def keep(self, key: RequestKey, fence: str, answer: KeptAnswer) -> None:
        """Belongs into the transaction of the request's effect. Raises Conflict when another took the key."""
        ...

    def release(self, key: RequestKey, fence: str) -> None:
        """It had no effect: forget it, unless its answer was kept."""
        ...


class UnitOfWork(Protocol):
    """One transaction's repositories."""

    @property
    def templates(self) -> Templates: ...

    @property
    def runs(self) -> Runs: ...

    @property
    def leases(self) -> Leases: ...

    @property
    def orders(self) -> Orders: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def dead_letters(self) -> DeadLetters: ...

    @property
    def destinations(self) -> Destinations: ...

    @property
    def journal(self) -> Journal: ...

    @property
    def idempotency(self) -> IdempotencyKeys: ...

    @property
    def scaling(self) -> ScalingRecords: ...

    @property
    def pins(self) -> Pins: ...

    @property
    def workers(self) -> Workers: ...

    @property
    def figures(self) -> RunFigures: ...

    @property
    def benchmarks(self) -> Benchmarks: ...

    @property
    def webhooks(self) -> Webhooks: ...

    @property
    def retention(self) -> Retention: ...


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, and the cursor to go on from (None at the end)."""

    rows: list[Row]
    next_cursor: str | None


class RunQueries(Protocol):
    """Reads that need no transaction of one's own. Raises InvalidInput for a cursor that is not ours."""

    def runs(
        self,
        *,
        state: RunState | None,
        template: str | None,
        after: str | None,
        limit: int,
        created: Period = Period(),  # noqa: B008 - it is frozen
    ) -> Page[Run]:
        """The newest first."""
        ...

    def worker_shares(
        self, *, run_id: str | None, worker: str | None, ended: Period, after: str | None, limit: int
    ) -> Page[WorkerShareRow]:
        """What workers did of runs that have ended; whoever ended its last job of them last, first."""
        ...

    def orders(
        self,
        run_id: str,
        *,
        state: OrderState | None,
        search: str | None,
        after: str | None,
        limit: int,
        first: int | None = None,
    ) -> Page[OrderRow]:
        """By number, from ``first`` on; ``search`` is an accession number, patient ID or part of the patient's name."""
        ...

    def order(self, run_id: str, number: int) -> tuple[OrderRow, list[StepRow]]: ...

    def numbered(self, run_id: str, numbers: Sequence[int]) -> dict[int, OrderRow]:
        """Those of up to 1,000 order numbers that exist."""
        ...

    def completed(self, run_id: str, after: int, limit: int) -> list[int]:
        """Up to ``limit`` numbers of completed orders, ascending, from the first one after ``after`` on."""
        ...

    def findings(self, run_id: str, limit: int) -> list[Finding]: ...

    def dead_letters(self, wanted: DeadLetterFilter, *, after: str | None, limit: int) -> Page[DeadLetterRow]:
        """The newest first."""
        ...

    def dead_letter_counts(self) -> list[dict[str, Any]]:
        """By ``state``, ``kind``, ``queue`` and ``step_type``, each with ``count``, ``oldest`` and ``newest``."""
        ...

    def destinations(self) -> list[DestinationRow]: ...

    def parked(self, run_id: str) -> list[ParkedCount]: ...

    def totals(self) -> Totals:
        """Counted anew, as of one moment: a second or so where a million orders are under way."""
        ...

    def scaling_decisions(self, pool: str | None, *, after: str | None, limit: int) -> Page[ScalingRecord]:
        """The newest first."""
        ...

    def runs_to_resume(self) -> list[Run]:
        """Runs that are not terminal and whose lease nobody holds."""
        ...


class EventFeed(Protocol):
    """The events in the order in which they may be seen; nothing is skipped, whatever commits late."""

    def read(
        self, run_id: str, after: str | None, limit: int, order_number: int | None = None
    ) -> tuple[list[RecordedEvent], str | None]:
        """Events after the cursor (None: from the beginning), and the cursor of the last one (or ``after``)."""
        ...

    def newest(self, run_id: str) -> str | None: ...

    def holds_back(self, run_id: str) -> bool:
        """Whether events that are committed can't be read yet, because an older transaction is still open."""
        ...


class Database(Protocol):
    """Where rows live.

    Raises (all methods): Unavailable when it can't be reached.
    """

    @property
    def queries(self) -> RunQueries: ...

    @property
    def feed(self) -> EventFeed: ...

    def transaction(self) -> AbstractContextManager[UnitOfWork]:
        """Commit at the end of the block, roll back when it raises."""
        ...

    def upgrade(self) -> None:
        """Migrate to this version's schema."""
        ...

    def check(self) -> str:
        """What it is and its schema's revision. Raises Unavailable when it can't be used, saying why."""
        ...

    def close(self) -> None: ...
