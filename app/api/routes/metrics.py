"""Figures of runs and workers, as JSON and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from app.api.access import VIEWER
from app.api.documents import JsonRoute
from app.api.metric_views import (
    RUN_COLUMNS,
    SHARE_COLUMNS,
    STAGE_COLUMNS,
    ComparisonView,
    RunFiguresView,
    RunMetricsView,
    WorkerShareRowView,
    interval_columns,
    interval_line,
    run_figures_view,
    run_line,
    run_metrics_view,
    share_view,
    summary_lines,
)
from app.api.problems import responses
from app.api.reports import compare_page, report_page, run_documents
from app.api.routes.runs import After, Id, Limit, find_run
from app.api.services import Api
from app.api.views import PageView
from app.domain.run import RunState
from app.ports import Period
from app.reporting.comparison import compare_runs
from app.util.csv_text import csv_text

router = APIRouter(tags=["metrics"], route_class=JsonRoute)

RUN = "/api/simulator/runs/{id}/metrics"
Format = Annotated[Literal["json", "csv"], Query(description="csv: as a table, with a heading")]
Moment = Annotated[datetime | None, Query(description="a moment (RFC 3339); without a zone it is UTC")]


def _csv(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> PlainTextResponse:
    return PlainTextResponse(csv_text(columns, lines), media_type="text/csv")


def _html(page: str) -> HTMLResponse:
    return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})


def _text(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string"}}}}}


_CSV, _HTML = _text("text/csv"), _text("text/html")


@router.get(RUN, dependencies=[VIEWER], responses=responses(404) | _CSV, response_model=dict[str, Any])
def get_summary(api: Api, id: Id, format: Format = "json") -> Response | dict[str, Any]:
    """The run's summary; of a run that has not ended, the figures so far, without reconciliation and thresholds."""
    summary = api.figures.summary(find_run(api, id))
    return _csv(("figure", "value"), summary_lines(summary)) if format == "csv" else summary


@router.get(f"{RUN}/detail", dependencies=[VIEWER], responses=responses(404))
def get_detail(api: Api, id: Id) -> RunMetricsView:
    """Latency by stage, the run's course over time, and what each worker did of it; so far, if it has not ended."""
    return run_metrics_view(api.figures.metrics(find_run(api, id)))


@router.get(f"{RUN}/{{table}}.csv", dependencies=[VIEWER], responses=responses(404) | _CSV, response_class=Response)
def get_table(api: Api, id: Id, table: Literal["stages", "intervals", "workers"]) -> Response:
    """One part of the detail, as a table."""
    run = find_run(api, id)
    detail = run_metrics_view(api.figures.metrics(run)).model_dump(mode="json")
    match table:
        case "stages":
            return _csv(STAGE_COLUMNS, detail["stages"])
        case "intervals":
            lines = [interval_line(interval) for interval in detail["intervals"]]
            return _csv(interval_columns(lines), lines)
        case "workers":
            own = {"run_id": run.id, "run_key": run.run_key, "template": run.template_name}
            return _csv(SHARE_COLUMNS, [own | share for share in detail["workers"]])


@router.get(
    "/api/simulator/runs/{id}/report",
    dependencies=[VIEWER],
    responses=responses(404) | _HTML,
    response_class=Response,
)
def get_report(api: Api, id: Id) -> HTMLResponse:
    """The run's report: one HTML file without scripts, which needs no network."""
    return _html(report_page(api.bundle.database, api.figures, find_run(api, id)))


@router.get(
    "/api/simulator/runs/{id}/comparison/{other}",
    dependencies=[VIEWER],
    responses=responses(404) | _HTML,
    response_model=ComparisonView,
)
def get_comparison(
    api: Api,
    id: Id,
    other: Annotated[str, Path(description="id or run key of the run to compare it with")],
    format: Annotated[Literal["json", "html"], Query(description="html: as a page, like the report")] = "json",
) -> Response | ComparisonView:
    """Two runs: where their settings differ, and every figure with its change."""
    database, figures = api.bundle.database, api.figures
    before, after = find_run(api, id), find_run(api, other)
    if format == "html":
        return _html(compare_page(database, figures, before, after))
    documents = (run_documents(database, figures, run) for run in (before, after))
    return ComparisonView.model_validate(compare_runs(*documents))


@router.get(
    "/api/metrics/runs", dependencies=[VIEWER], responses=responses() | _CSV, response_model=PageView[RunFiguresView]
)
def list_run_figures(
    api: Api,
    state: RunState | None = None,
    template: Annotated[str | None, Query(description="name of the template")] = None,
    since: Moment = None,
    until: Moment = None,
    after: After = None,
    limit: Limit = 50,
    format: Format = "json",
) -> Response | PageView[RunFiguresView]:
    """Runs with their figures, the newest first; ``since`` and ``until`` are about when they were made."""
    page = api.bundle.database.queries.runs(
        state=state, template=template, after=after, limit=limit, created=_period(since, until)
    )
    views = [run_figures_view(run) for run in page.rows]
    if format == "csv":
        return _csv(RUN_COLUMNS, [run_line(view.model_dump(mode="json")) for view in views])
    return PageView(items=views, next_cursor=page.next_cursor)


@router.get(
    "/api/metrics/workers",
    dependencies=[VIEWER],
    responses=responses(404) | _CSV,
    response_model=PageView[WorkerShareRowView],
)
def list_worker_figures(
    api: Api,
    run: Annotated[str | None, Query(description="id or run key of a run")] = None,
    worker: Annotated[str | None, Query(max_length=128, description="name of a worker")] = None,
    since: Moment = None,
    until: Moment = None,
    after: After = None,
    limit: Limit = 50,
    format: Format = "json",
) -> Response | PageView[WorkerShareRowView]:
    """What workers did of runs that have ended, those first that worked last; ``since``, ``until``: that moment."""
    run_id = None if run is None else find_run(api, run).id
    page = api.bundle.database.queries.worker_shares(
        run_id=run_id, worker=worker, ended=_period(since, until), after=after, limit=limit
    )
    views = [share_view(row) for row in page.rows]
    if format == "csv":
        return _csv(SHARE_COLUMNS, [view.model_dump(mode="json") for view in views])
    return PageView(items=views, next_cursor=page.next_cursor)


def _period(since: datetime | None, until: datetime | None) -> Period:
    return Period(_aware(since), _aware(until))


def _aware(moment: datetime | None) -> datetime | None:
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
