"""What this server says of itself: liveness, readiness, status, and a page to begin with."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, JSONResponse

from app.api.access import OPEN, VIEWER
from app.api.problems import responses
from app.api.services import Api, Services
from app.api.views import ActiveRunView, HealthView, ReadinessView, ServiceView, StatusView
from app.domain.errors import Unavailable
from app.domain.run import TERMINAL_RUN_STATES, RunState

router = APIRouter(tags=["monitoring"])

VERSION = version("hl7-yeeter")
MAX_ACTIVE = 500  # runs of each state
_HOME = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>HL7 Yeeter</title>
<h1>HL7 Yeeter</h1>
<ul>
<li><a href="docs">REST API</a> (<a href="openapi.json">OpenAPI</a>)
<li><a href="api/simulator/templates">Templates</a>
<li><a href="api/simulator/runs">Runs</a>
<li><a href="api/monitoring/status">Status</a>
</ul>
"""


@router.get("/", dependencies=[VIEWER], response_class=HTMLResponse, include_in_schema=False)
async def home() -> str:
    return _HOME


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
    active = _active_runs(api) if readiness.database.ready else []
    return StatusView(**readiness.model_dump(), version=VERSION, active_runs=active)


def _readiness(api: Services) -> ReadinessView:
    database, broker = _database(api), _broker(api)
    return ReadinessView(ready=database.ready and broker.ready, database=database, broker=broker)


def _database(api: Services) -> ServiceView:
    try:
        return ServiceView(ready=True, detail=api.bundle.database.check())
    except Unavailable as error:
        return ServiceView(ready=False, detail=str(error))


def _broker(api: Services) -> ServiceView:
    if api.bundle.is_embedded:
        return ServiceView(ready=True, detail="in-process: each producer works on its own jobs")
    queue = api.bundle.settings.rabbitmq_order_queue
    try:
        api.bundle.broker.declare([queue])
        depth = api.bundle.broker.depth(queue)
    except Unavailable as error:
        return ServiceView(ready=False, detail=str(error))
    return ServiceView(ready=True, detail=f"queue {queue}: {depth.ready} ready, {depth.consumers} consumers")


def _active_runs(api: Services) -> list[ActiveRunView]:
    queries = api.bundle.database.queries
    active = [state for state in RunState if state not in TERMINAL_RUN_STATES]
    return [
        ActiveRunView.model_validate(run)
        for state in active
        for run in queries.runs(state=state, template=None, after=None, limit=MAX_ACTIVE).rows
    ]
