"""``/api/admin/workers`` and ``/api/admin/scaling-decisions``: how many workers there are, and why."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import Field

from app.api.access import ADMIN, VIEWER
from app.api.documents import JsonRoute
from app.api.once import Once
from app.api.problems import responses
from app.api.routes.runs import After, Body, Limit
from app.api.services import Api
from app.api.views import PageView
from app.api.worker_views import COLUMNS, DecisionView, PoolView, WorkersView, decision_view, scale_pool, workers_view
from app.domain.scaling import POOL_PATTERN
from app.util.csv_text import csv_text

router = APIRouter(prefix="/api/admin", tags=["workers"], route_class=JsonRoute)

Pool = Annotated[str | None, Query(max_length=63, pattern=POOL_PATTERN, description="name of a pool; all if not given")]


class ScaleBody(Body):
    replicas: int | None = Field(ge=0, le=10_000, description="how many; null: by the load again")
    pool: str = Field(default="default", max_length=63, pattern=POOL_PATTERN)
    seconds: float | None = Field(
        default=None, gt=0, le=30 * 86_400, description="how long it counts; YEETER_AUTOSCALER_PIN_SECONDS if not given"
    )


@router.get("/workers", dependencies=[VIEWER], responses=responses())
def get_workers(api: Api) -> WorkersView:
    """The worker pools, each with its last decision, and the workers that are alive."""
    return workers_view(api.bundle)


@router.post("/workers/scale", dependencies=[ADMIN], status_code=202, responses=responses(409, 415))
def post_scale(api: Api, request: Request, body: ScaleBody, once: Once) -> PoolView:
    """Give a pool so many workers, whatever its load, until that expires.

    On Kubernetes it takes effect at once; workers that have to go finish what they have begun.
    """
    by = request.state.caller.name or "this machine's administrator"
    with once.claimed():
        return once.keep_done(scale_pool(api.bundle, body.pool, body.replicas, body.seconds, by))


@router.get(
    "/scaling-decisions",
    dependencies=[VIEWER],
    responses=responses() | {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    response_model=PageView[DecisionView],
)
def get_decisions(
    api: Api,
    pool: Pool = None,
    after: After = None,
    limit: Limit = 50,
    format: Annotated[Literal["json", "csv"], Query(description="csv: a page as a table, with a heading")] = "json",
) -> Response | PageView[DecisionView]:
    """What the autoscaler decided at each look, the newest first."""
    page = api.bundle.database.queries.scaling_decisions(pool, after=after, limit=limit)
    views = [decision_view(record) for record in page.rows]
    if format == "csv":
        return PlainTextResponse(
            csv_text(COLUMNS, [view.model_dump(mode="json") for view in views]), media_type="text/csv"
        )
    return PageView(items=views, next_cursor=page.next_cursor)
