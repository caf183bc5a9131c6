"""Every port on one page: what the core asks of the world, with the contract and the errors each may raise.

Adapters live in ``app.adapters`` and are chosen in ``app.bootstrap``; each port's contract is one test suite that every
adapter passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Protocol, TypeVar

from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.event import Event, RecordedEvent
from app.domain.order import Order
from app.domain.run import OrderState, Run, RunState, Verdict
from app.domain.study import ArchivedStudy, EncodedInstance, ReceivedOrder, StoreResult
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
    NewStep,
    OrderAcknowledged,
    OrderIntent,
    OrderRow,
    OutboxEntry,
    OutboxMessage,
    ParkedCount,
    StepRow,
    TemplateRow,
    Withdrawn,
)

Row = TypeVar("Row")

# --- Broker -----------------------------------------------------------------------------------------------------------

DEAD_QUEUE = "yeeter.dead"  # what the broker gave up; it is subscribed to like any other queue
DELIVERY_LIMIT = 20  # times that a message may come back without being acknowledged; after one more it is dead


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish: persistent, mandatory, confirmed."""

    id: str
    queue: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is ours until it is acknowledged or given back. ``tag`` belongs to the adapter.

    One of the dead queue also says which queue it was in (``origin``), and why it is there no more (``cause``, in the
    broker's word): ``delivery_limit``; ``expired``, ``rejected`` or ``maxlen`` where an operator's policy brings that.
    """

    tag: object
    message_id: str
    queue: str
    body: bytes
    redelivered: bool
    origin: str = ""
    cause: str = ""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    ready: int
    consumers: int


class Subscription(Protocol):
    """A consumer of one or several queues. Every method may be called from any thread."""

    def receive(self, maximum: int, timeout: float) -> list[Delivery]:
        """Up to ``maximum`` deliveries; waits up to ``timeout`` seconds for the first one, never for more.

        An empty list means none came. After a lost connection it reconnects by itself; what was delivered before
        comes again, marked redelivered, and acknowledging the old delivery then does nothing.

        Raises:
            Unavailable: a queue is gone, or may not be consumed from any more: says which and what to do. Consuming
                goes on when that is mended. A queue that this broker declared before is declared again by itself.
        """
        ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Done with these. Order does not matter; each is acknowledged once."""
        ...

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Not begun: put them back for somebody else (shutdown only, never as a retry).

        Whether it counts against the delivery limit differs between brokers, and between versions of one.
        """
        ...

    def close(self) -> None:
        """Stop consuming; what is neither acknowledged nor given back goes back to the queue."""
        ...


class Broker(Protocol):
    """Durable work queues. Methods are thread-safe.

    A message that came back more than ``DELIVERY_LIMIT`` times is moved to ``DEAD_QUEUE``, at least once, and stays
    there until it is acknowledged, however often it is delivered. Nobody publishes to that queue.

    Raises (all methods): Unavailable when the broker can't be reached or refuses.
    """

    def declare(self, queues: Sequence[str]) -> None:
        """Make the queues and ``DEAD_QUEUE``, durable; does nothing to those that are there."""
        ...

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all and return when the broker has confirmed every one.

        Raises:
            PublishFailed: names the message ids that were not confirmed (they may still arrive).
        """
        ...

    def subscribe(self, queues: Sequence[str], prefetch: int) -> Subscription: ...

    def depth(self, queue: str) -> QueueDepth: ...

    def purge(self, queue: str) -> int:
        """Throw away the messages that wait in a queue, not those that somebody holds; how many."""
        ...

    def trouble(self) -> str:
        """Why the broker would take no message now (away, or an alarm of its memory or disk); "" when it would.

        It asks the broker: a round trip, and several seconds when the broker does not answer. Raises nothing.
        """
        ...

    def close(self) -> None: ...


# --- Sending orders (HL7 v2 over MLLP) --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OutboundOrder:
    """An encoded message and its lane: messages of one lane (patient) go one after the other on one connection."""

    number: int
    control_id: str
    lane: str
    message: bytes


OrderVerdict = Literal["accepted", "error", "rejected", "unknown", "unreachable"]


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What became of one message.

    ``accepted`` AA or CA; ``error`` AE or CE on the last attempt; ``rejected`` AR or CR; ``unknown`` no valid answer to
    the last attempt (time limit, reset, bad frame: ``reason`` says which); ``unreachable`` no connection could be made
    for it, so there is no verdict and it may be submitted again. ``possibly_duplicated``: an earlier attempt's outcome
    is unknown, so the receiver may have it twice. ``attempts`` counts transmissions; 0 means it never left.
    """

    number: int
    verdict: OrderVerdict
    code: str  # MSA-1, empty without an answer
    reason: str
    acknowledgement: bytes
    sender: str  # MSH-3 of the acknowledgement
    attempts: int
    timeouts: int
    errors: int  # AE or CE answers among the attempts
    possibly_duplicated: bool
    ack_seconds: float  # of the last attempt


class OrderSender(Protocol):
    """Sends order messages over persistent connections and checks each acknowledgement. Used by one thread."""

    def submit(self, order: OutboundOrder) -> None:
        """Queue for sending; returns at once."""
        ...

    def completed(self, timeout: float) -> list[OrderOutcome]:
        """Outcomes since the last call; waits up to ``timeout`` seconds for the first one."""
        ...

    def withdraw(self) -> list[int]:
        """Take back what was never transmitted; the numbers of those orders. The rest still completes."""
        ...

    def close(self) -> None: ...


class OrderLedger(Protocol):
    """Asks an HL7 receiver what it has."""

    def received(self, destination: Hl7Destination, run_key: str) -> Iterator[ReceivedOrder]:
        """All orders whose accession number begins with the run key.

        Raises:
            NotAnswerable: this receiver keeps no ledger that can be asked.
            Unavailable: it could not be reached.
        """
        ...


# --- Sending and finding studies (DICOM) ------------------------------------------------------------------------------


class StudySender(Protocol):
    """Stores instances by C-STORE. Thread-safe; associations are kept and reused by the adapter."""

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        """Store each instance; one result an instance, in order, whatever the archive answered.

        An instance whose association is lost is sent once more, with the same UID, on another one, unless ``deadline``
        (``time.monotonic()`` seconds) has passed or ``should_stop`` says so. Longer waiting is for whoever calls.

        Raises:
            TransportFault: the destination has a fault; the text says what came back.
            OutcomeUnknown: as above, and the archive may have an instance that was not answered for.
            TemporaryError: the deadline passed although the archive answered.
            PermanentError: the archive will never take it (no presentation context).
        """
        ...

    def close(self) -> None: ...


class ArchiveQuery(Protocol):
    """Asks an archive what it has."""

    def echo(self, destination: DicomDestination) -> None:
        """C-ECHO. Raises Unavailable with the reason."""
        ...

    def studies(self, destination: DicomDestination, run_key: str, orders: int) -> Iterator[ArchivedStudy]:
        """All studies whose accession number begins with the run key (C-FIND, study root, study level).

        Raises:
            NotAnswerable: the peer does not offer query.
            Unavailable: it could not be reached, or failed in the middle.
        """
        ...


class StudyStore(Protocol):
    """Keeps generated studies between steps that may run on different workers."""

    def write(self, run_id: str, order_number: int, instances: Iterable[EncodedInstance]) -> tuple[int, int]:
        """Write all instances, whole or not at all; writing again replaces. Returns (instances, bytes)."""
        ...

    def read(self, run_id: str, order_number: int) -> Iterator[EncodedInstance]:
        """The instances in the order they were written. Raises NotFound when the study is not there."""
        ...

    def remove(self, run_id: str, order_number: int | None = None) -> None:
        """Remove a study, or all of a run; nothing to do when it is not there."""
        ...

    def free_bytes(self) -> int: ...


# --- Steps ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StepContext:
    """What a step gets to work with."""

    run_id: str
    order: Order
    parameters: dict[str, Any]
    dicom: DicomDestination
    deadline: float  # time.monotonic() seconds
    is_cancelled: Callable[[], bool] = lambda: False  # whether the run is being cancelled; cheap to ask
    earlier_unknown: bool = False  # whether an earlier start may have done part of this step, or all of it


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did, for its event; ``wait_seconds`` parks the rest of the job for so long."""

    data: dict[str, Any] = field(default_factory=dict)
    wait_seconds: float = 0.0
    instances_stored: int = 0


class Step(Protocol):
    """One step type. Running it twice must be harmless. Third-party steps register by entry point ``yeeter.steps``."""

    def check(self, parameters: dict[str, Any]) -> None:
        """Raise InvalidInput when a template's parameters for this step are wrong (fields relative to parameters)."""
        ...

    def run(self, context: StepContext) -> StepResult:
        """Do it. Raises TemporaryError, TransportFault or PermanentError with one line a person can act on."""
        ...


class StepSource(Protocol):
    """The step types that this process has."""

    def step(self, type_: str) -> Step:
        """Raises KeyError for a type that this process does not have."""
        ...

    def uses_archive(self, type_: str) -> bool:
        """Whether such a step talks to the order's DICOM destination; False for a type that is not there."""
        ...


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The adapters a step may use; given to a step's factory when the registry is built."""

    studies: StudyStore
    sender: StudySender
    archive: ArchiveQuery


# --- Database ---------------------------------------------------------------------------------------------------------


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

    def acknowledge(self, run_id: str, outcomes: Sequence[OrderAcknowledged], steps: Sequence[NewStep]) -> set[int]:
        """End the emission of orders that are SENDING; their numbers.

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


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, and the cursor to go on from (None at the end)."""

    rows: list[Row]
    next_cursor: str | None


class RunQueries(Protocol):
    """Reads that need no transaction of one's own. Raises InvalidInput for a cursor that is not ours."""

    def runs(self, *, state: RunState | None, template: str | None, after: str | None, limit: int) -> Page[Run]: ...

    def orders(
        self, run_id: str, *, state: OrderState | None, search: str | None, after: str | None, limit: int
    ) -> Page[OrderRow]:
        """By number; ``search`` is an accession number, patient ID or part of the patient's name."""
        ...

    def order(self, run_id: str, number: int) -> tuple[OrderRow, list[StepRow]]: ...

    def numbered(self, run_id: str, numbers: Sequence[int]) -> dict[int, OrderRow]:
        """Those of up to 1,000 order numbers that exist."""
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
