"""The figures of one launch: from the run's summary and events, and from its processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.bench.combinations import Combination
from app.bench.launch import Launcher, WorkerShape, problem_of, watch
from app.bench.processes import Measured
from app.domain.event import RUN_STATE, STEP_FAILED, STEP_SUCCEEDED
from app.domain.run import Run, RunState
from app.ports import EventFeed

PAGE = 10_000  # events
STAGE_FIGURES = ("p50", "p95", "p99")


@dataclass(frozen=True, slots=True)
class LaunchFigures:
    """Rates a second; memory in MiB (peak resident, of the largest worker); CPU of all processes of a kind.

    ``wall_seconds`` ends with the reconciliation, ``emitted_per_second`` counts to the last acknowledged order, the
    producer's CPU is with its start and the workers' without. ``max_queue_depth``: jobs that no worker held.
    """

    run_key: str
    status: str
    verdict: str
    missing: int
    unverifiable: int
    wall_seconds: float
    orders_per_second: float
    instances_per_second: float
    bytes_per_second: float
    emitted_per_second: float | None
    max_queue_depth: int
    producer_mib: float | None
    worker_mib: float | None
    producer_cpu_ms_per_order: float | None
    workers_cpu_ms_per_order: float | None
    latency_seconds: dict[str, dict[str, float]]


def measured_launch(
    launcher: Launcher, template: str | dict[str, Any], combination: Combination
) -> tuple[str, LaunchFigures]:
    """Launch a combination of this template; what is wrong with how it ended, and its figures.

    Raises:
        YeeterError: there are none.
    """
    run = launcher.prepare(template, combination.orders)
    figures = measured_run(launcher, run, combination.shape)
    return problem_of(launcher.ended(run)), figures


def measured_run(launcher: Launcher, run: Run, shape: WorkerShape) -> LaunchFigures:
    """Run a run to its end, with workers that take jobs from its beginning on.

    Raises:
        YeeterError: it has no figures.
    """
    depths = [0]
    with launcher.workers(run, shape) as pool:
        for worker in pool:
            worker.begin()
        with launcher.producer(run) as producer:
            watch(producer, pool, lambda: depths.append(launcher.depth(run)))
    ended = launcher.ended(run)
    return _figures_of(ended, emission_rate(launcher.database.feed, ended), max(depths), producer, pool)


def emission_rate(feed: EventFeed, run: Run) -> float | None:
    """Orders a second from the run's beginning to its last acknowledgement, by the database's clock."""
    begun: datetime | None = None
    last: datetime | None = None
    cursor: str | None = None
    emitted = 0
    while True:
        events, cursor = feed.read(run.id, cursor, PAGE)
        for recorded in events:
            event = recorded.event
            if event.kind == RUN_STATE and event.data["state"] == RunState.RUNNING:
                begun = begun or recorded.at
            elif event.kind in (STEP_SUCCEEDED, STEP_FAILED) and event.step_index == 0:
                emitted, last = emitted + 1, recorded.at
        if len(events) < PAGE:
            break
    if begun is None or last is None or last <= begun:
        return None
    return round(emitted / (last - begun).total_seconds(), 1)


def _figures_of(
    run: Run, emitted: float | None, depth: int, producer: Measured, pool: Sequence[Measured]
) -> LaunchFigures:
    summary = run.summary or {}
    found, rates = summary["reconciliation"], summary["rates"]
    return LaunchFigures(
        run_key=run.run_key,
        status=summary["status"],
        verdict=summary["verdict"],
        missing=found["missing"],
        unverifiable=found["unverifiable"],
        wall_seconds=summary["wall_seconds"],
        orders_per_second=rates["orders_per_second"],
        instances_per_second=rates["instances_per_second"],
        bytes_per_second=rates["bytes_per_second"],
        emitted_per_second=emitted,
        max_queue_depth=depth,
        producer_mib=rounded(producer.peak_mib),
        worker_mib=rounded(max((worker.peak_mib or 0.0 for worker in pool), default=None)),
        producer_cpu_ms_per_order=cpu_ms([producer], run.requested),
        workers_cpu_ms_per_order=cpu_ms(pool, run.requested),
        latency_seconds={
            stage: {name: latency[name] for name in STAGE_FIGURES}
            for stage, latency in summary["latency_seconds"].items()
            if latency
        },
    )


def cpu_ms(processes: Sequence[Measured], orders: int) -> float | None:
    """Of all these processes, for each order; None where it can't be read."""
    used = [process.cpu_seconds for process in processes if process.cpu_seconds is not None]
    return rounded(sum(used) / orders * 1000) if used else None


def rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
