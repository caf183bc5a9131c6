"""What the API says: the response bodies, named as the domain names things."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NaiveDatetime, WithJsonSchema

from app.domain.event import RecordedEvent
from app.domain.run import OrderState, Run, RunState, StepState, Verdict
from app.domain.template import Template
from app.domain.webhook import without_secrets
from app.domain.work import FindingKind, TemplateRow
from app.runs.reading.progress import ProgressFold

Item = TypeVar("Item")

# Without a zone, so not what JSON Schema calls a date-time (RFC 3339 section 5.6).
LocalTime = Annotated[
    NaiveDatetime,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?$",
            "description": "local time of the simulated department, without a zone",
            "examples": ["2026-01-05T08:30:00"],
        }
    ),
]

TemplateDocument = Annotated[dict[str, Any], AfterValidator(without_secrets)]


class View(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class PageView(View, Generic[Item]):
    """One page; ``next_cursor`` is the next page's ``after``, null at the end."""

    items: list[Item]
    next_cursor: str | None = None


# --- templates --------------------------------------------------------------------------------------------------------


class TemplateView(View):
    id: str
    name: str
    version: int
    shipped: bool = Field(description="as it came with this version of Yeeter, not edited")
    created_at: datetime
    updated_at: datetime
    document: TemplateDocument = Field(description="the whole template, steps included; secrets are hidden")


class ValidationView(View):
    valid: Literal[True]
    document: TemplateDocument = Field(description="the template with every default filled in")
    queues: list[str] = Field(description="the broker queues that its steps use")
    retry_delays: list[list[float]] = Field(
        description="of each step behind GENERATE_HL7: seconds between its attempts, on the rungs of the ladder"
    )


class StepView(View):
    """A template's step. ``runs_on`` is what its mode and queue come to on this server."""

    position: int
    runs_on: str = Field(description="producer (the emission itself), inline, or the name of a broker queue")
    type: str
    name: str
    mode: Literal["inline", "queued"] | None
    queue_async: bool | None
    queue: str | None
    job_type: str | None
    queue_metadata: dict[str, Any]
    parameters: dict[str, Any]
    retry: dict[str, Any]
    timeout: float


# --- runs -------------------------------------------------------------------------------------------------------------


class RunView(View):
    id: str
    run_key: str
    state: RunState
    verdict: Verdict | None
    reason: str
    template_id: str | None
    template_name: str
    template_version: int
    requested: int = Field(description="orders")
    seed: int
    base_time: LocalTime
    labels: dict[str, str]
    epoch: int
    created_at: datetime
    started_at: datetime | None
    emitted_at: datetime | None
    finished_at: datetime | None


class RunDetailView(RunView):
    document: TemplateDocument = Field(description="the template as it was resolved when the run was started")


class EventView(View):
    cursor: str
    at: datetime
    kind: str
    order_number: int | None
    step_index: int | None
    starts: int
    epoch: int
    data: dict[str, Any]


class FindingView(View):
    """One thing that reconciliation found wrong."""

    order_number: int | None
    accession: str
    kind: FindingKind
    source: Literal["hl7", "dicom"]
    detail: str


# --- orders -----------------------------------------------------------------------------------------------------------


class OrderView(View):
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
    instances_stored: int
    begun_at: datetime
    acknowledged_at: datetime | None
    finished_at: datetime | None
    ack_code: str
    possibly_duplicated: bool
    reason: str


class MessageView(View):
    """An HL7 message: ``text`` has one segment a line, ``base64`` is every byte as it was sent."""

    character_set: str = Field(description="MSH-18; empty means ASCII")
    text: str
    base64: str


class AcknowledgementView(View):
    code: str = Field(description="MSA-1")
    text: str = Field(description="one segment a line")


class SeriesView(View):
    series_uid: str
    description: str
    instances: int


class StudyView(View):
    """The study that answers the order, as planned."""

    study_uid: str
    accession: str
    modality: str
    body_part: str
    laterality: str
    description: str
    pixels: str
    series: list[SeriesView]


class InstanceView(View):
    """One image of an order's study."""

    index: int = Field(description="place in the study, from 0, over all of its series")
    series: int = Field(description="Series Number, from 1")
    number: int = Field(description="Instance Number, from 1 in each series")
    sop_instance_uid: str
    rows: int
    columns: int


class ElementView(View):
    """One data element; those of a sequence's items come behind it."""

    tag: str = Field(description="(gggg,eeee)")
    name: str
    vr: str
    value: str = Field(description="several are joined by a backslash; a sequence says how many items it has")
    depth: int = Field(description="0 in the data set itself, 1 in an item of one of its sequences, and so on")


class StepExecutionView(View):
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


class JobView(View):
    """A job of the order, from its events; a moment is null until its event is there."""

    step_index: int = Field(description="the job's first step")
    epoch: int
    starts: int
    queue: str | None = None
    worker: str | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None
    outcome: str | None = None


class OrderDetailView(OrderView):
    hl7: MessageView
    acknowledgement: AcknowledgementView | None
    study: StudyView
    steps: list[StepExecutionView]
    jobs: list[JobView]
    events: list[EventView]


# --- the server itself ------------------------------------------------------------------------------------------------


class HealthView(View):
    status: Literal["ok"] = "ok"


class ServiceView(View):
    """A service this server needs."""

    ready: bool
    detail: str


class ReadinessView(View):
    ready: bool
    database: ServiceView
    broker: ServiceView


class ActiveRunView(View):
    id: str
    run_key: str
    state: RunState


class StatusView(ReadinessView):
    version: str
    active_runs: list[ActiveRunView] = Field(description="runs that have not ended, at most 500 of each state")


# --- from rows to views -----------------------------------------------------------------------------------------------


def validation_view(template: Template, default_queue: str) -> ValidationView:
    return ValidationView(
        valid=True,
        document=template.model_dump(mode="json"),
        queues=list(template.queues(default_queue)),
        retry_delays=[list(step.retry.policy.delays) for step in template.steps[1:]],
    )


def template_view(row: TemplateRow) -> TemplateView:
    return TemplateView.model_validate(row)


def event_view(recorded: RecordedEvent) -> EventView:
    event = recorded.event
    return EventView(
        cursor=recorded.cursor,
        at=recorded.at,
        kind=event.kind,
        order_number=event.order_number,
        step_index=event.step_index,
        starts=event.starts,
        epoch=event.epoch,
        data=event.data,
    )


def status_message(run: Run) -> dict[str, Any]:
    """The payload of ``run.status``."""
    verdict = run.verdict.value if run.verdict else None
    return {
        "run_id": run.id,
        "run_key": run.run_key,
        "state": run.state.value,
        "verdict": verdict,
        "reason": run.reason,
    }


def progress_message(run_id: str, fold: ProgressFold) -> dict[str, Any]:
    """The payload of ``run.progress``; counts are orders unless they say otherwise."""
    mean = fold.mean_seconds
    return {
        "run_id": run_id,
        "requested": fold.requested,
        "emitted": fold.emitted,
        "acknowledged": fold.acknowledged,
        "completed": fold.completed,
        "failed": fold.failed,
        "cancelled": fold.cancelled,
        "jobs_queued": fold.queued,
        "jobs_running": fold.running,
        "remaining_queue_depth": fold.remaining,
        "active_workers": fold.active_workers,
        "mean_processing_seconds": None if mean is None else round(mean, 6),
        "instances_generated": fold.generated,
        "instances_stored": fold.stored,
    }
