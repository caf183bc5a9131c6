"""What the API says to those who keep Yeeter running: dead letters, queues and destinations."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.api.views import View
from app.domain.run import RunState
from app.domain.work import DeadLetterKind, DeadLetterState, DestinationRow, DestinationState, RetryCause
from app.runs.tending.dead_letters import Discard, Retry

Outcome = Literal["succeeded", "failed", "cancelled", "retried", "parked", "reopened"]

# --- dead letters -----------------------------------------------------------------------------------------------------


class DeadLetterView(View):
    """A job that was given up, or a message that never was one: its ``run_id`` and what belongs to it are null."""

    id: int
    state: DeadLetterState
    kind: DeadLetterKind
    reason: str
    run_id: str | None
    run_key: str | None
    order_number: int | None
    step_index: int | None
    step_type: str
    epoch: int
    queue: str
    job_id: str
    worker: str = Field(description="the last one that had it")
    at: datetime
    settled_at: datetime | None = Field(description="when it was retried or discarded")


class AttemptView(View):
    """One thing that happened to the job on its way, from its order's events."""

    at: datetime
    epoch: int
    step_index: int = Field(description="the step that it began at")
    starts: int = Field(description="which start of the job it was, or came after")
    worker: str | None = Field(description="null where nobody ran it")
    outcome: Outcome | None = Field(description="null: nothing was heard of it again, or it is still under way")
    reason: str = ""
    cause: RetryCause | None = Field(default=None, description="why it was to be tried again")
    delay_seconds: float | None = Field(default=None, description="until it was to be tried again")
    ended_at: datetime | None = None


class DeadLetterDetailView(DeadLetterView):
    body: str = Field(description="the message as it was")
    traceback: str = Field(description="of a defect; empty otherwise")
    history: list[AttemptView]


class DeadLetterGroupView(View):
    state: DeadLetterState
    kind: DeadLetterKind
    queue: str
    step_type: str
    count: int
    oldest: datetime
    newest: datetime


class DeadLetterStatisticsView(View):
    open: int
    retried: int
    discarded: int
    groups: list[DeadLetterGroupView]


class RetriedRunView(View):
    """A run that got jobs back."""

    id: str
    run_key: str
    state: RunState
    epoch: int
    jobs: int
    reopened: bool = Field(description="it had ended, and has been given to a producer")


class RefusalView(View):
    id: int
    reason: str


class RetryView(View):
    """Letters that had been retried before are in neither list."""

    jobs: int
    runs: list[RetriedRunView]
    refused: list[RefusalView] = Field(description="letters that were left as they are")


class DiscardView(View):
    letters: int
    refused: list[RefusalView] = Field(description="letters that were left as they are")


# --- queues and destinations ------------------------------------------------------------------------------------------


class QueueView(View):
    """A queue that this server knows of. Figures that can't be told are null, and ``note`` says why."""

    name: str
    used_by: list[str] = Field(description="templates, and run keys of runs that have not ended")
    ready: int | None = Field(description="messages that wait; not those that workers hold")
    consumers: int | None
    note: str


class QueueJobsView(View):
    """Jobs of one run."""

    run_key: str
    jobs: int


class PurgeView(View):
    messages: int = Field(description="that were thrown away")
    runs: list[QueueJobsView] = Field(description="how many jobs of each run were settled; a message may be a copy")


class ReleaseView(View):
    runs: list[QueueJobsView] = Field(description="how many jobs of each run are published again")


class DestinationView(View):
    """A destination as all processes know it. OPEN: it is away, or can't be used; its jobs are parked."""

    key: str
    state: DestinationState
    faults: int = Field(description="transport faults in a row")
    reason: str = Field(description="the last fault")
    since: datetime = Field(description="when it came to this state")
    next_probe_at: datetime | None
    parked_jobs: int


class ParkedJobsView(View):
    """Jobs that wait without a message, for whatever it is."""

    run_id: str
    run_key: str
    waiting_for: str = Field(
        description="a destination's key; pause: the run is paused; reopened: for its producer; "
        "purged: and a queue's name: for an operator to release them"
    )
    jobs: int


class DestinationsHealthView(View):
    ready: bool = Field(description="as in the other answers about health: the same as healthy")
    detail: str
    healthy: bool = Field(description="no destination is OPEN")
    destinations: list[DestinationView]
    parked: list[ParkedJobsView]


# --- from rows to views -----------------------------------------------------------------------------------------------


def statistics_view(counts: list[dict[str, Any]]) -> DeadLetterStatisticsView:
    groups = [DeadLetterGroupView.model_validate(count) for count in counts]
    totals = {
        state.value.lower(): sum(group.count for group in groups if group.state is state) for state in DeadLetterState
    }
    return DeadLetterStatisticsView(groups=groups, **totals)


def retry_view(retry: Retry) -> RetryView:
    runs = [
        RetriedRunView(
            id=retried.run.id,
            run_key=retried.run.run_key,
            state=retried.run.state,
            epoch=retried.run.epoch,
            jobs=retried.jobs,
            reopened=retried.reopened,
        )
        for retried in retry.runs
    ]
    refused = [RefusalView.model_validate(refusal) for refusal in retry.refused]
    return RetryView(jobs=sum(run.jobs for run in runs), runs=runs, refused=refused)


def discard_view(discard: Discard) -> DiscardView:
    return DiscardView.model_validate(discard)


def jobs_view(jobs: dict[str, int]) -> list[QueueJobsView]:
    return [QueueJobsView(run_key=run_key, jobs=count) for run_key, count in jobs.items()]


def destination_view(row: DestinationRow, parked_jobs: int) -> DestinationView:
    return DestinationView(
        key=row.key,
        state=row.state,
        faults=row.faults,
        reason=row.reason,
        since=row.since,
        next_probe_at=row.next_probe_at,
        parked_jobs=parked_jobs,
    )
