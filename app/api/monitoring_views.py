"""What the API says of how everything is: services, queues, workers, and how jobs get on."""

from __future__ import annotations

from pydantic import Field

from app.api.views import ServiceView, View


class WorkersHealthView(ServiceView):
    """Ready: a worker is there that takes jobs, or none is needed."""

    alive: int
    busy: int = Field(description="those that have jobs")
    draining: int = Field(description="those that take no more jobs")


class QueueFiguresView(View):
    """A queue. Figures that can't be told are null, and ``note`` says why."""

    name: str
    ready: int | None = Field(description="messages that wait")
    unacknowledged: int | None = Field(description="messages that workers hold; RabbitMQ's management API tells them")
    consumers: int | None
    note: str


class QueueMetricsView(View):
    queues: list[QueueFiguresView]
    unpublished: int = Field(description="jobs that wait in the database to be published, now or later")
    due: int = Field(description="those of them that could be published now")


class WorkerMetricsView(View):
    """The workers that were heard of in the last seconds, together."""

    count: int
    busy: int = Field(description="those that have jobs")
    draining: int = Field(description="those that take no more jobs")
    concurrency: int = Field(description="jobs that they run side by side")
    running: int = Field(description="jobs that they have")
    jobs_per_second: float = Field(description="in the last half minute")
    jobs_done: int = Field(description="since each of them started")


class ProcessingMetricsView(View):
    """How the jobs of the runs that have not ended get on."""

    active_runs: int
    measured_runs: int = Field(description="the newest of them, whose jobs the last five figures are about")
    queued: int = Field(description="jobs that are published and wait for a worker")
    running: int = Field(description="jobs that workers have")
    unpublished: int = Field(description="jobs that wait in the database to be published, now or later")
    parked: int = Field(description="jobs that wait without a message: for a destination, the end of a pause, a person")
    jobs_finished: int = Field(description="those that are to be tried again included")
    succeeded: int = Field(description="jobs")
    failed: int = Field(description="jobs that became dead letters")
    failure_rate: float | None = Field(description="share of the failed among the failed and succeeded; null: none yet")
    mean_processing_seconds: float | None = Field(description="that a worker took for a job; null: none yet")
