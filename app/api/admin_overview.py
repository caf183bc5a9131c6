"""Queues and destinations as the API, and the command line without one, tell them."""

from __future__ import annotations

from app.api.admin_views import (
    DestinationsHealthView,
    ParkedJobsView,
    PurgeView,
    QueueView,
    ReleaseView,
    destination_view,
    jobs_view,
)
from app.bootstrap import Bundle
from app.domain.errors import Conflict, Unavailable
from app.domain.work import DestinationState
from app.ports import RunQueries
from app.runs.reading.overview import known_queues, parked_jobs
from app.runs.tending.purge import Fate, purge, release

EMBEDDED = "in the memory of each run's own process, which nobody else can look into"


def list_queues(bundle: Bundle) -> list[QueueView]:
    """Every queue that is known of, by name. Raises Unavailable when the database is away; a broker may be."""
    queues = known_queues(bundle.database, bundle.settings.rabbitmq_order_queue)
    return [_queue(bundle, name, used_by) for name, used_by in sorted(queues.items())]


def purge_queue(bundle: Bundle, name: str, fate: Fate) -> PurgeView:
    """Empty a queue. Raises NotFound, Unavailable, and Conflict where there is none to empty."""
    _check_broker(bundle)
    purged = purge(bundle.database, bundle.broker, bundle.settings.rabbitmq_order_queue, name, fate)
    return PurgeView(messages=purged.messages, runs=jobs_view(purged.jobs))


def release_queue(bundle: Bundle, name: str) -> ReleaseView:
    """Publish again what a purge has parked. Raises as :func:`purge_queue` does."""
    _check_broker(bundle)
    jobs = release(bundle.database, bundle.settings.rabbitmq_order_queue, name, bundle.tracing)
    return ReleaseView(runs=jobs_view(jobs))


def _check_broker(bundle: Bundle) -> None:
    if bundle.is_embedded:
        raise Conflict(f"the queues are {EMBEDDED}; pause or cancel the run instead")


def destinations_health(queries: RunQueries) -> DestinationsHealthView:
    parked = parked_jobs(queries)
    rows = [
        destination_view(row, sum(each.jobs for each in parked if each.waiting_for == row.key))
        for row in queries.destinations()
    ]
    away = [row.key for row in rows if row.state is DestinationState.OPEN]
    return DestinationsHealthView(
        ready=not away,
        detail=f"away: {', '.join(away)}" if away else "none is known to be away",
        healthy=not away,
        destinations=rows,
        parked=[
            ParkedJobsView(run_id=each.run.id, run_key=each.run.run_key, waiting_for=each.waiting_for, jobs=each.jobs)
            for each in parked
        ],
    )


def _queue(bundle: Bundle, name: str, used_by: list[str]) -> QueueView:
    untold = QueueView(name=name, used_by=used_by, ready=None, consumers=None, note=EMBEDDED)
    if bundle.is_embedded:
        return untold
    try:
        depth = bundle.broker.depth(name)
    except Unavailable as error:
        return untold.model_copy(update={"note": str(error)})
    return QueueView(name=name, used_by=used_by, ready=depth.ready, consumers=depth.consumers, note="")
