"""What this server says of itself: liveness, readiness, status."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.api.access import OPEN, VIEWER
from app.api.monitoring_overview import (
    broker_health,
    database_health,
    processing_metrics,
    queue_metrics,
    worker_metrics,
    workers_health,
)
from app.api.monitoring_views import ProcessingMetricsView, QueueMetricsView, WorkerMetricsView, WorkersHealthView
from app.api.problems import responses
from app.api.services import Api, Services
from app.api.views import ActiveRunView, HealthView, ReadinessView, ServiceView, StatusView
from app.runs.reading.overview import active_runs

router = APIRouter(tags=["monitoring"])

VERSION = version("hl7-yeeter")
METRICS = "/metrics"


@router.get("/healthz", dependencies=[OPEN])
async def healthz() -> HealthView:
    """The process answers. Says nothing of what it needs."""
    return HealthView()


@router.get(
    "/readyz", dependencies=[OPEN], responses={503: {"model": ReadinessView, "description": "a service is missing"}}
)
def readyz(api: Api) -> JSONResponse:
    """Database reachable with the right schema, and the broker where one is configured."""
    readiness = _readiness(api)
    return JSONResponse(readiness.model_dump(), 200 if readiness.ready else 503)


@router.get("/api/monitoring/status", dependencies=[VIEWER], responses=responses())
def status(api: Api) -> StatusView:
    """Version, services, and the runs that have not ended."""
    readiness = _readiness(api)
    runs = active_runs(api.bundle.database.queries) if readiness.database.ready else ()
    active = [ActiveRunView.model_validate(run) for run in runs]
    return StatusView(**readiness.model_dump(), version=VERSION, active_runs=active)


@router.get(
    METRICS,
    dependencies=[VIEWER],
    responses=responses() | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
def metrics(api: Api) -> Response:
    """For Prometheus: this server's requests, and runs, jobs, queues, workers and services as they are now."""
    return Response(api.metrics.page(), media_type=CONTENT_TYPE_LATEST)


@router.get("/api/monitoring/health/database", dependencies=[VIEWER], responses=responses())
def get_database_health(api: Api) -> ServiceView:
    """Whether the database can be reached and has the right schema."""
    return database_health(api.bundle)


@router.get("/api/monitoring/health/broker", dependencies=[VIEWER], responses=responses())
def get_broker_health(api: Api) -> ServiceView:
    """Whether the broker can be reached, and would take a message: it does not while its memory or disk runs out."""
    health = broker_health(api.bundle)
    trouble = api.bundle.broker.trouble() if health.ready else ""
    return ServiceView(ready=False, detail=trouble) if trouble else health


@router.get("/api/monitoring/health/workers", dependencies=[VIEWER], responses=responses())
def get_workers_health(api: Api) -> WorkersHealthView:
    """Whether a worker takes jobs."""
    return workers_health(api.bundle)


@router.get("/api/monitoring/metrics/queue", dependencies=[VIEWER], responses=responses())
def get_queue_metrics(api: Api) -> QueueMetricsView:
    """What waits: by queue, and in the database before it."""
    return queue_metrics(api.bundle)


@router.get("/api/monitoring/metrics/workers", dependencies=[VIEWER], responses=responses())
def get_worker_metrics(api: Api) -> WorkerMetricsView:
    """How many workers there are, and how much they do."""
    return worker_metrics(api.bundle)


@router.get("/api/monitoring/metrics/processing", dependencies=[VIEWER], responses=responses())
def get_processing_metrics(api: Api) -> ProcessingMetricsView:
    """How the jobs of the runs that have not ended get on."""
    return processing_metrics(api.bundle, api.figures)


def _readiness(api: Services) -> ReadinessView:
    database, broker = database_health(api.bundle), broker_health(api.bundle)
    return ReadinessView(ready=database.ready and broker.ready, database=database, broker=broker)
