"""Units of work as the rows know them: what is begun, acknowledged, claimed and finished, always in groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from app.domain.job import Job, job_id
from app.domain.records import record
from app.domain.run import OrderState, RunState, StepState


@record(frozen=True, slots=True)
class OrderIntent:
    """Written before the message is sent, so that no order can be sent without a trace."""

    number: int
    accession: str
    control_id: str
    patient_id: str
    patient_name: str  # DICOM PN form
    birth_date: str  # YYYYMMDD or empty
    sex: str
    modality: str
    study_uid: str
    instances: int


@record(frozen=True, slots=True)
class NewStep:
    """A step's row at its creation."""

    step_index: int
    type: str
    state: StepState
    starts: int = 0


@record(frozen=True, slots=True)
class OrderAcknowledged:
    """The end of an emission: WAITING with its jobs, or a terminal state.

    Orders that ended alike share their steps. ``reason`` is also that of a step that FAILED.
    """

    number: int
    state: OrderState
    ack_code: str
    acknowledgement: str
    possibly_duplicated: bool
    reason: str = ""
    steps: tuple[NewStep, ...] = ()


@record(frozen=True, slots=True)
class OutboxEntry:
    """A job that is to be published, at once or after so many seconds: what it says follows from its run and its order.

    ``starts`` is how often its head step has been started so far; with it, each time it is queued is an event of its
    own.
    """

    run_id: str
    order_number: int
    step_index: int  # of its first step
    epoch: int
    queue: str
    delay_seconds: float = 0.0
    starts: int = 0

    @classmethod
    def of(cls, job: Job, delay_seconds: float = 0.0, starts: int = 0) -> OutboxEntry:
        return cls(job.run_id, job.order_number, job.slip[0].index, job.epoch, job.queue, delay_seconds, starts)


@record(frozen=True, slots=True)
class OutboxMessage:
    """An entry read back: ready to publish. ``starts`` is the head step's, it makes the event key unique.

    ``taken_at`` is when it was read: about when it was given to the broker, and not after a worker had it.
    """

    id: int
    run_id: str
    order_number: int
    step_index: int
    starts: int
    epoch: int
    queue: str
    taken_at: datetime

    @property
    def job_id(self) -> str:
        return job_id(self.run_id, self.order_number, self.step_index, self.epoch)


@record(frozen=True, slots=True)
class ClaimRequest:
    """A delivered job that somebody wants to run. ``destination``: the key of the one that its steps use, if any."""

    run_id: str
    order_number: int
    step_indexes: tuple[int, ...]
    epoch: int
    redelivered: bool
    destination: str = ""


ClaimRefusal = Literal["unknown", "finished", "taken", "early", "parked", "cancelled"]


@record(frozen=True, slots=True)
class Claim:
    """The answer to a request: ours under ``fence``, which no other claim of its row has, or the reason why not.

    ``early``: it is to be tried again later, and will be published then. ``parked``: the run is paused, or the
    destination away; the row now waits without a message. ``cancelled`` is granted: whoever claimed it cancels the
    rest.
    """

    granted: bool
    refusal: ClaimRefusal | None = None
    head: int = 0  # the first unfinished step: its row carries the claim
    fence: str = ""
    starts: int = 0
    wait_seconds: float = 0.0  # since it became ready, on the database's clock
    attempts: int = 0  # verdicts that the head step has had in this epoch
    lost_starts: int = 0  # starts before this one, since its last verdict, of which nothing was heard again
    crashes: int = 0  # processes of its own that ended under it
    waited_seconds: float = 0.0  # since the first transport fault after its last verdict
    is_probe: bool = False  # its destination is held to be away, and this job shall find out


@record(frozen=True, slots=True)
class StepOutcome:
    """How one step of a job ended; READY: it is to be tried again, for ``cause``."""

    step_index: int
    type: str
    state: StepState
    seconds: float
    data: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    cause: RetryCause | None = None


RetryCause = Literal["verdict", "transport", "crash"]
JobOutcome = Literal["succeeded", "failed", "retried", "cancelled"]
DeadLetterKind = Literal["permanent", "exhausted", "defect", "crashed", "undeliverable", "not_a_job"]


@record(frozen=True, slots=True)
class Death:
    """Why a job is dead: refused for good, its attempts (or patience) used up, a defect, or it ended its worker."""

    kind: DeadLetterKind
    reason: str
    traceback: str = ""


@record(frozen=True, slots=True)
class DestinationReport:
    """What a job learnt about the destination that it used: ``fault`` is empty where it gave a verdict."""

    key: str
    fault: str = ""
    misconfigured: bool = False
    is_probe: bool = False


@record(frozen=True, slots=True)
class JobFinish:
    """A claimed job's end: the outcomes of its steps, and what follows from them.

    ``worker`` is empty where nobody ran it: then its steps and its order have ended, and no job has.
    """

    run_id: str
    order_number: int
    epoch: int
    head: int
    fence: str
    starts: int
    queue: str
    worker: str
    seconds: float
    steps: tuple[StepOutcome, ...]
    following: OutboxEntry | None = None  # the rest of the slip, elsewhere or later
    order_state: OrderState | None = None  # terminal, where the order ends here
    reason: str = ""
    instances_stored: int = 0
    death: Death | None = None
    body: str = ""  # the job's message, kept with its dead letter
    destination: DestinationReport | None = None
    in_memory: bool = False  # this start made the study, and put it into no store

    @property
    def outcome(self) -> JobOutcome:
        """In one word; a job that goes on elsewhere, or later by its own wish, has succeeded."""
        states = {step.state for step in self.steps}
        if StepState.FAILED in states:
            return "failed"
        if StepState.READY in states:
            return "retried"
        return "cancelled" if StepState.CANCELLED in states else "succeeded"


@record(frozen=True, slots=True)
class JobReference:
    """A job by its rows: its head step, at its epoch, started so often."""

    order_number: int
    step_index: int
    epoch: int
    starts: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A job that was taken out of its queue before anybody began it; ``type`` is its head step's."""

    job: JobReference
    type: str
    fence: str


@dataclass(frozen=True, slots=True)
class ParkedCount:
    """How many jobs of a run wait for what: a destination's key, PAUSE, REOPENED, or PURGED and a queue."""

    waiting_for: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Totals:
    """How much there is: all runs by state; orders and jobs only of runs that have not ended."""

    runs: dict[RunState, int]
    orders: dict[OrderState, int]
    unpublished: int  # jobs in the outbox
    due: int  # those of them that could be published now
    parked: int  # jobs


PAUSE = "pause"
REOPENED = "reopened"
PURGED = "purged:"  # and the queue that an operator emptied, who releases them


class DestinationState(StrEnum):
    CLOSED = "CLOSED"  # as of a circuit: jobs flow
    OPEN = "OPEN"  # away: jobs are parked, and one at a time is sent to find out


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """A destination as all processes know it."""

    key: str
    state: DestinationState
    faults: int  # transport faults in a row
    reason: str
    since: datetime  # of the state
    next_probe_at: datetime | None


@record(frozen=True, slots=True)
class NewDeadLetter:
    """A dead message that names no row: what was no job, or what nobody can place."""

    queue: str
    job_id: str
    body: str
    death: Death
    worker: str


class DeadLetterState(StrEnum):
    OPEN = "OPEN"
    RETRIED = "RETRIED"
    DISCARDED = "DISCARDED"


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A dead letter as it stands; ``run_id`` and what follows it are None for a message that named no row."""

    id: int
    run_id: str | None
    run_key: str | None
    order_number: int | None
    step_index: int | None
    step_type: str
    epoch: int
    queue: str
    job_id: str
    body: str
    kind: DeadLetterKind
    reason: str
    traceback: str
    worker: str
    at: datetime
    state: DeadLetterState
    settled_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters are meant; what is None does not matter. ``run`` is an id or run key."""

    state: DeadLetterState | None = DeadLetterState.OPEN
    run: str | None = None
    queue: str | None = None
    kind: DeadLetterKind | None = None
    search: str | None = None  # part of the reason
    step_type: str | None = None


MAX_SELECTED = 1000  # dead letters of one request: they are settled in one transaction


@dataclass(frozen=True, slots=True)
class DeadLetterSelection:
    """Letters by their ids; where none is given, the oldest ``limit`` of those that match."""

    ids: tuple[int, ...] = ()
    wanted: DeadLetterFilter = field(default_factory=DeadLetterFilter)
    limit: int = MAX_SELECTED


FindingKind = Literal["missing", "duplicated", "mismatched"]


@record(frozen=True, slots=True)
class Finding:
    """One thing reconciliation found wrong."""

    order_number: int | None
    accession: str
    kind: FindingKind
    source: Literal["hl7", "dicom"]
    detail: str


@record(frozen=True, slots=True)
class OrderRow:
    """An order as it stands."""

    run_id: str
    number: int
    state: OrderState
    accession: str
    control_id: str
    patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    modality: str
    study_uid: str
    instances: int
    begun_at: datetime
    acknowledged_at: datetime | None
    finished_at: datetime | None
    ack_code: str
    acknowledgement: str
    possibly_duplicated: bool
    instances_stored: int
    reason: str


@record(frozen=True, slots=True)
class StepRow:
    """A step execution as it stands."""

    step_index: int
    type: str
    state: StepState
    starts: int
    attempt: int
    epoch: int
    worker: str | None
    ready_at: datetime | None
    finished_at: datetime | None
    error: str


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A stored template; ``document`` holds the steps too."""

    id: str
    name: str
    version: int
    shipped: bool
    document: dict[str, Any]
    created_at: datetime
    updated_at: datetime
