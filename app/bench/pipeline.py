"""``yeeter bench pipeline``: the whole way with its real parts, as processes, measured from the outside.

For each order count two runs: one whose workers start only when every order is emitted (its emission rate: ACK checked,
rows written, job confirmed), and one with workers from the start (its whole-way rate, memory and CPU).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from app.bench.figures import measured_run
from app.bench.launch import POLL, Launcher, WorkerShape, problem_of, watch
from app.domain.errors import YeeterError
from app.domain.event import JOB_QUEUED, RUN_STATE, RecordedEvent
from app.domain.run import Run, RunState
from app.runs.reading.follow import FeedFollower


@dataclass(frozen=True, slots=True)
class PipelineFigures:
    """One row: rates in orders a second, memory in MiB (peak resident), CPU in seconds of all processes an order."""

    orders: int
    workers: int
    emitted_per_second: float
    whole_way_per_second: float
    status: str
    missing: int
    producer_mib: float | None
    worker_mib: float | None
    producer_cpu_ms_per_order: float | None
    worker_cpu_ms_per_order: float | None

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


def bench_pipeline(
    launcher: Launcher,
    template: str | dict[str, Any],
    counts: list[int],
    shape: WorkerShape,
    say: Callable[[str], None],
) -> Iterator[PipelineFigures]:
    """One row an order count.

    Raises:
        InvalidInput: the request is wrong.
        YeeterError: a run did not end as it should.
    """
    for orders in counts:
        say(f"{orders} orders: emission")
        emitted = _measure_emission(launcher, launcher.prepare(template, orders), shape)
        say(f"{orders} orders: the whole way, {shape.workers} workers")
        yield _measure_whole_way(launcher, launcher.prepare(template, orders), shape, emitted)


def _measure_emission(launcher: Launcher, run: Run, shape: WorkerShape) -> float:
    times = _EmissionTimes()
    follower = FeedFollower(launcher.database.feed, run.id, times.apply)
    follower.start()
    try:
        with launcher.producer(run, _unbounded(run.requested)) as producer:
            while times.queued < run.requested and not producer.has_ended:
                time.sleep(POLL)
            with launcher.workers(run, shape, expect_jobs=True) as pool:
                watch(producer, pool)
        _check_end(launcher.ended(run))
    finally:
        follower.stop()
    return run.requested / times.seconds


def _measure_whole_way(launcher: Launcher, run: Run, shape: WorkerShape, emitted: float) -> PipelineFigures:
    figures = measured_run(launcher, run, shape)
    _check_end(launcher.ended(run))
    return PipelineFigures(
        orders=run.requested,
        workers=shape.workers,
        emitted_per_second=round(emitted, 1),
        whole_way_per_second=round(run.requested / figures.wall_seconds, 1),
        status=figures.status,
        missing=figures.missing,
        producer_mib=figures.producer_mib,
        worker_mib=figures.worker_mib,
        producer_cpu_ms_per_order=figures.producer_cpu_ms_per_order,
        worker_cpu_ms_per_order=figures.workers_cpu_ms_per_order,
    )


@dataclass(slots=True)
class _EmissionTimes:
    """From RUNNING to the last confirmed job, by the database's clock."""

    queued: int = 0
    begun: datetime | None = None
    ended: datetime | None = None

    def apply(self, recorded: RecordedEvent) -> None:
        if recorded.event.kind == RUN_STATE and recorded.event.data["state"] == RunState.RUNNING:
            self.begun = recorded.at
        if recorded.event.kind == JOB_QUEUED:
            self.queued += 1
            self.ended = recorded.at + timedelta(seconds=recorded.event.data["publish_seconds"])

    @property
    def seconds(self) -> float:
        if self.begun is None or self.ended is None:
            raise YeeterError("the measured run published nothing")
        return max((self.ended - self.begun).total_seconds(), 1e-9)


def _check_end(run: Run) -> None:
    if problem := problem_of(run):
        raise YeeterError(f"the measured run {run.run_key}: {problem}")


def _unbounded(orders: int) -> dict[str, str]:
    """Emission alone is measured without workers, so nothing may hold publishing back."""
    return {"YEETER_BACKPRESSURE_MARK": str(orders)}
