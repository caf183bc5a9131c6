"""Units of work as the rows know them: what is begun, acknowledged, claimed and finished, always in groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app.domain.job import Job
from app.domain.run import OrderState, StepState


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class OrderAcknowledged:
    """The end of an emission: WAITING with its jobs, or a terminal state."""

    number: int
    state: OrderState
    ack_code: str
    acknowledgement: str
    possibly_duplicated: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step's row at its creation."""

    order_number: int
    step_index: int
    type: str
    state: StepState
    starts: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A job that is to be published, at once or after so many seconds."""

    job: Job
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """An entry read back: ready to publish. ``starts`` is the head step's, it makes the event key unique."""

    id: int
    run_id: str
    order_number: int
    step_index: int
    starts: int
    epoch: int
    job_id: str
    queue: str
    body: str


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """A delivered job that somebody wants to run."""

    run_id: str
    order_number: int
    step_indexes: tuple[int, ...]
    epoch: int
    redelivered: bool


ClaimRefusal = Literal["unknown", "finished", "taken", "cancelled"]


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a request: ours under ``fence``, or the reason why not."""

    granted: bool
    refusal: ClaimRefusal | None = None
    head: int = 0  # the first unfinished step: its row carries the claim
    fence: str = ""
    starts: int = 0
    wait_seconds: float = 0.0  # since it became ready, on the database's clock


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """How one step of a job ended."""

    step_index: int
    type: str
    state: StepState
    seconds: float
    data: dict[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class JobFinish:
    """A claimed job's end: the outcomes of its steps, and what follows from them."""

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


FindingKind = Literal["missing", "duplicated", "mismatched"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing reconciliation found wrong."""

    order_number: int | None
    accession: str
    kind: FindingKind
    source: Literal["hl7", "dicom"]
    detail: str


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
