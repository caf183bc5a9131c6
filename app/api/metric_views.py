"""The figures of runs and workers, as the API says them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from app.api.views import View
from app.domain.metrics import RunMetrics, WorkerShare
from app.domain.run import Run, RunState, Verdict
from app.domain.threshold import SUMMARY_FIGURES, flat_figures
from app.ports import WorkerShareRow


class StageView(View):
    """Latency of one stage, in seconds."""

    stage: str = Field(description="as in the summary, and step.TYPE for the time that steps of a type took")
    count: int
    min: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float
    histogram: str = Field(description="HdrHistogram, V2 compressed, base64: to be merged with others")


class IntervalView(View):
    """What happened between two moments of a run."""

    number: int
    begins: float = Field(description="seconds since the run began")
    seconds: float = Field(description="how long it is")
    emitted: int = Field(description="orders that were sent")
    acknowledged: int
    completed: int
    failed: int
    cancelled: int
    retried: int = Field(description="steps that are tried again")
    jobs: int = Field(description="jobs that were finished")
    instances: int = Field(description="instances that were stored")
    bytes: int = Field(description="bytes that were stored")
    queued: int = Field(description="jobs that waited for a worker at its end")
    running: int = Field(description="jobs that a worker had at its end")
    workers: int = Field(description="workers that had these jobs")
    latency: dict[str, dict[str, float]] = Field(description="count, p50, p95, p99 and max in seconds, by stage")


class WorkerShareView(View):
    """What one worker did of a run."""

    worker: str
    jobs: int
    busy_seconds: float = Field(description="seconds that its jobs took together")
    jobs_per_second: float | None
    first_at: datetime = Field(description="when it had finished its first job")
    last_at: datetime


class RunMetricsView(View):
    """A run's figures by stage, over time and by worker."""

    stages: list[StageView]
    intervals: list[IntervalView]
    workers: list[WorkerShareView]


class WorkerShareRowView(WorkerShareView):
    run_id: str
    run_key: str
    template: str


class RunFiguresView(View):
    """One run in a line; ``figures`` by their paths in the summary, none while it has not ended."""

    run_id: str
    run_key: str
    template: str
    state: RunState
    verdict: Verdict | None
    seed: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    wall_seconds: float | None
    figures: dict[str, int | float]


class ComparedRunView(View):
    run_id: str
    run_key: str
    template: str
    headline: str = Field(description="the verdict, or the state of a run that FAILED, was CANCELLED or has not ended")
    orders: int
    seed: int
    created_at: datetime


class SettingDifferenceView(View):
    setting: str = Field(description="its path in the template")
    before: Any
    after: Any


class FigureDifferenceView(View):
    figure: str = Field(description="its path in the summary")
    before: int | float | None
    after: int | float | None
    change: float | None = Field(description="as a share of what it was before")
    effect: Literal["better", "worse", "same", "different"] = Field(description="same: changed by 5 % or less")


class ComparisonView(View):
    """Two runs: where their settings differ, and every figure that either of them has."""

    before: ComparedRunView
    after: ComparedRunView
    settings: list[SettingDifferenceView]
    figures: list[FigureDifferenceView]


STAGE_COLUMNS = tuple(StageView.model_fields)
INTERVAL_COLUMNS = tuple(name for name in IntervalView.model_fields if name != "latency")
SHARE_COLUMNS = ("run_id", "run_key", "template", *WorkerShareView.model_fields)
RUN_COLUMNS = (*(name for name in RunFiguresView.model_fields if name != "figures"), *SUMMARY_FIGURES)


def run_metrics_view(metrics: RunMetrics) -> RunMetricsView:
    return RunMetricsView(
        stages=[StageView.model_validate(stage) for stage in metrics.stages],
        intervals=[IntervalView.model_validate(interval) for interval in metrics.intervals],
        workers=[WorkerShareView(**_share(share)) for share in metrics.workers],
    )


def share_view(row: WorkerShareRow) -> WorkerShareRowView:
    return WorkerShareRowView(run_id=row.run_id, run_key=row.run_key, template=row.template_name, **_share(row.share))


def run_figures_view(run: Run) -> RunFiguresView:
    summary = run.summary or {}
    return RunFiguresView(
        run_id=run.id,
        run_key=run.run_key,
        template=run.template_name,
        state=run.state,
        verdict=run.verdict,
        seed=run.seed,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        wall_seconds=summary.get("wall_seconds"),
        figures=flat_figures(summary),
    )


def run_line(document: dict[str, Any]) -> dict[str, Any]:
    """A :class:`RunFiguresView`'s document as a line of a table, its figures beside the rest."""
    figures: dict[str, float] = document["figures"]
    return document | figures


def interval_line(document: dict[str, Any]) -> dict[str, Any]:
    """An :class:`IntervalView`'s document as a line of a table."""
    figures = {f"{stage}.{name}": value for stage, each in document["latency"].items() for name, value in each.items()}
    return document | figures


def interval_columns(lines: list[dict[str, Any]]) -> tuple[str, ...]:
    """Those that every interval has, and the latencies that some of them have."""
    return (*INTERVAL_COLUMNS, *sorted({name for line in lines for name in line if "." in name}))


def summary_lines(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """A summary's figures, a line each."""
    return [{"figure": path, "value": value} for path, value in flat_figures(summary).items()]


def _share(share: WorkerShare) -> dict[str, Any]:
    return asdict(share) | {"jobs_per_second": share.jobs_per_second}
