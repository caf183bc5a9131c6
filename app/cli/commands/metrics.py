"""``yeeter metrics``: figures of runs and workers, as tables, JSON and CSV."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.backend import Document, open_backend
from app.cli.output import write_json, write_table
from app.domain.run import RunState

if TYPE_CHECKING:
    from app.ports import Period

metrics = typer.Typer(no_args_is_help=True)

Csv = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write all columns here, as CSV; - for stdout.")
]
Since = Annotated[str | None, typer.Option(metavar="ISO", help="From this moment on, in local time unless it says.")]
Until = Annotated[str | None, typer.Option(metavar="ISO", help="Before this moment.")]

_RUNS = (
    ("run_key", "RUN"),
    ("template", "TEMPLATE"),
    ("state", "STATE"),
    ("verdict", "VERDICT"),
    ("orders.completed", "ORDERS"),
    ("wall_seconds", "SECONDS"),
    ("rates.orders_per_second", "ORDERS/S"),
    ("latency_seconds.hl7_ack.p95", "ACK P95 S"),
    ("latency_seconds.order_to_stored.p95", "STORED P95 S"),
)
_WORKERS = (
    ("run_key", "RUN"),
    ("worker", "WORKER"),
    ("jobs", "JOBS"),
    ("jobs_per_second", "JOBS/S"),
    ("busy_seconds", "BUSY S"),
    ("last_at", "LAST"),
)
_STAGES = tuple((name, name.upper()) for name in ("stage", "count", "min", "mean", "p50", "p90", "p95", "p99", "max"))
_INTERVALS = tuple(
    (name, name.upper())
    for name in (
        "begins",
        "emitted",
        "acknowledged",
        "completed",
        "failed",
        "retried",
        "instances",
        "bytes",
        "queued",
        "running",
        "workers",
    )
)


@metrics.command("runs")
def runs_(
    state: Annotated[RunState | None, typer.Option(case_sensitive=False, help="Only runs in this state.")] = None,
    template: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this template.")] = None,
    since: Since = None,
    until: Until = None,
    limit: options.Limit = 20,
    csv: Csv = None,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show runs with their figures, the newest first."""
    from app.api.metric_views import RUN_COLUMNS, run_line

    created = _period(since, until)
    with open_backend(server) as backend:
        documents = backend.run_figures(state, template, created, limit)
    _tell(documents, [run_line(document) for document in documents], _RUNS, RUN_COLUMNS, csv, json)


@metrics.command("workers")
def workers_(
    run: Annotated[str | None, typer.Option(metavar="RUN", help="Only of this run.")] = None,
    worker: Annotated[str | None, typer.Option(metavar="NAME", help="Only this worker.")] = None,
    since: Since = None,
    until: Until = None,
    limit: options.Limit = 50,
    csv: Csv = None,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Show what workers did of runs that have ended, those first that worked last."""
    from app.api.metric_views import SHARE_COLUMNS

    ended = _period(since, until)
    with open_backend(server) as backend:
        rows = backend.worker_figures(run, worker, ended, limit)
    _tell(rows, rows, _WORKERS, SHARE_COLUMNS, csv, json)


@metrics.command()
def stages(name: options.RunName, csv: Csv = None, server: options.Server = None, json: options.Json = False) -> None:
    """Show a run's latency by stage, in seconds."""
    from app.api.metric_views import STAGE_COLUMNS

    with open_backend(server) as backend:
        rows = backend.run_metrics(name)["stages"]
    _tell(rows, rows, _STAGES, STAGE_COLUMNS, csv, json)


@metrics.command()
def intervals(
    name: options.RunName, csv: Csv = None, server: options.Server = None, json: options.Json = False
) -> None:
    """Show a run's course over time: what happened in each interval, and the jobs at its end."""
    from app.api.metric_views import interval_columns, interval_line

    with open_backend(server) as backend:
        documents = backend.run_metrics(name)["intervals"]
    lines = [interval_line(document) for document in documents]
    _tell(documents, lines, _INTERVALS, interval_columns(lines), csv, json)


def _tell(
    documents: Sequence[Document],
    lines: Sequence[Document],
    shown: Sequence[tuple[str, str]],
    columns: Sequence[str],
    csv: Path | None,
    json: bool,
) -> None:
    if csv is not None:
        _write_csv(csv, columns, lines)
    if json:
        write_json(list(documents))
    elif csv is None:
        write_table(lines, shown)


def _write_csv(path: Path, columns: Sequence[str], lines: Sequence[Document]) -> None:
    from app.util.csv_text import csv_text

    text = csv_text(columns, lines)
    if str(path) == "-":
        typer.echo(text, nl=False)
    else:
        path.write_text(text, encoding="utf-8", newline="")


def _period(since: str | None, until: str | None) -> Period:
    from app.cli.request import read_flag
    from app.ports import Period

    return Period(read_flag(_moment, since, "--since"), read_flag(_moment, until, "--until"))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise ValueError(f"{text!r} is not a moment; write for example 2026-03-01T08:00:00") from error
