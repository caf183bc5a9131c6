"""How the services, queues, workers and jobs are, as REST and Prometheus are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from app.api.admin_overview import EMBEDDED, list_queues
from app.api.figures import KEPT, LiveFigures
from app.api.monitoring_views import (
    ProcessingMetricsView,
    QueueFiguresView,
    QueueMetricsView,
    WorkerMetricsView,
    WorkersHealthView,
)
from app.api.views import ServiceView
from app.bootstrap import Bundle
from app.domain.errors import InvalidInput, Unavailable
from app.domain.run import OrderState
from app.domain.work import Totals
from app.ports import QueueLoad, WorkerBeat
from app.runs.reading.overview import active_runs

IN_PROCESS = "in-process: each producer works on its own jobs"
NO_MANAGEMENT = "what workers hold is told where YEETER_RABBITMQ_MANAGEMENT_URL is set"


# --- health: raises nothing ---


def database_health(bundle: Bundle) -> ServiceView:
    try:
        return ServiceView(ready=True, detail=bundle.database.check())
    except Unavailable as error:
        return ServiceView(ready=False, detail=str(error))


def broker_health(bundle: Bundle) -> ServiceView:
    if bundle.is_embedded:
        return ServiceView(ready=True, detail=IN_PROCESS)
    queue = bundle.settings.rabbitmq_order_queue
    try:
        bundle.broker.declare([queue])
        depth = bundle.broker.depth(queue)
    except Unavailable as error:
        return ServiceView(ready=False, detail=str(error))
    return ServiceView(ready=True, detail=f"queue {queue}: {depth.ready} ready, {depth.consumers} consumers")


def workers_health(bundle: Bundle) -> WorkersHealthView:
    try:
        beats = worker_beats(bundle)
    except Unavailable as error:
        return WorkersHealthView(ready=False, detail=str(error), alive=0, busy=0, draining=0)
    draining, busy = sum(beat.draining for beat in beats), sum(beat.running > 0 for beat in beats)
    taking = len(beats) - draining
    ready = taking > 0 or bundle.is_embedded  # then each producer brings its own
    detail = f"{taking} workers take jobs" if taking or not ready else IN_PROCESS
    return WorkersHealthView(ready=ready, detail=detail, alive=len(beats), busy=busy, draining=draining)


# --- figures: raises Unavailable when the database is away ---


def worker_beats(bundle: Bundle) -> list[WorkerBeat]:
    """What the workers that are alive said last."""
    with bundle.database.transaction() as work:
        return [row.beat for row in work.workers.alive()]


def jobs_queued(totals: Totals, running: int) -> int:
    """Jobs that are published and wait for a worker: every waiting order has one job.

    ``running`` is some seconds old, so the difference may be off by what was begun or finished in them.
    """
    return max(totals.orders[OrderState.WAITING] - totals.unpublished - totals.parked - running, 0)


def queue_metrics(bundle: Bundle) -> QueueMetricsView:
    totals, queues = bundle.database.queries.totals(), list_queues(bundle)
    held, why = _held(bundle, [queue.name for queue in queues])
    return QueueMetricsView(
        queues=[
            QueueFiguresView(
                name=queue.name,
                ready=queue.ready,
                unacknowledged=held[queue.name].unacknowledged if queue.name in held else None,
                consumers=queue.consumers,
                note=queue.note or ("" if queue.name in held else why),
            )
            for queue in queues
        ],
        unpublished=totals.unpublished,
        due=totals.due,
    )


def worker_metrics(bundle: Bundle) -> WorkerMetricsView:
    beats = worker_beats(bundle)
    return WorkerMetricsView(
        count=len(beats),
        busy=sum(beat.running > 0 for beat in beats),
        draining=sum(beat.draining for beat in beats),
        concurrency=sum(beat.concurrency for beat in beats),
        running=sum(beat.running for beat in beats),
        jobs_per_second=round(sum(beat.jobs_per_second for beat in beats), 3),
        jobs_done=sum(beat.jobs_done for beat in beats),
    )


def processing_metrics(bundle: Bundle, figures: LiveFigures) -> ProcessingMetricsView:
    active = list(active_runs(bundle.database.queries))
    newest = sorted(active, key=lambda run: run.created_at, reverse=True)[:KEPT]  # more would drop each other's folds
    told = [figures.summary(run) for run in newest]
    totals = bundle.database.queries.totals()
    running = sum(beat.running for beat in worker_beats(bundle))
    return ProcessingMetricsView(
        active_runs=len(active),
        measured_runs=len(newest),
        queued=jobs_queued(totals, running),
        running=running,
        unpublished=totals.unpublished,
        parked=totals.parked,
        **_finished_jobs(told),
    )


def _finished_jobs(summaries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    succeeded = sum(summary["jobs"]["succeeded"] for summary in summaries)
    failed = sum(summary["jobs"]["dead_lettered"] for summary in summaries)
    workers = [worker for summary in summaries for worker in summary["workers"]]
    finished, seconds = sum(worker["jobs"] for worker in workers), sum(worker["busy"] for worker in workers)
    return {
        "jobs_finished": finished,
        "succeeded": succeeded,
        "failed": failed,
        "failure_rate": round(failed / (succeeded + failed), 6) if succeeded + failed else None,
        "mean_processing_seconds": round(seconds / finished, 6) if finished else None,
    }


def _held(bundle: Bundle, queues: list[str]) -> tuple[Mapping[str, QueueLoad], str]:
    """What the management API says, where one is configured; and why it says nothing of the others."""
    if bundle.is_embedded:
        return {}, EMBEDDED
    if bundle.settings.rabbitmq_management_url is None:
        return {}, NO_MANAGEMENT
    try:
        with closing(bundle.queue_meter()) as meter:
            return meter.measure(queues), "the management API does not know this queue"
    except (Unavailable, InvalidInput) as error:
        return {}, str(error)
