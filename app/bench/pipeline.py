"""``yeeter bench pipeline``: the whole way with its real parts, as processes, measured from the outside.

For each order count two runs: one whose workers start only when every order is emitted (its emission rate: ACK checked,
rows written, job confirmed), and one with workers from the start (its whole-way rate, memory and CPU).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from app.bench.processes import Measured
from app.bootstrap import Bundle
from app.domain.errors import InvalidInput, Problem, YeeterError
from app.domain.event import JOB_QUEUED, RUN_STATE, RecordedEvent
from app.domain.run import Run, RunState
from app.runs.reading.follow import FeedFollower
from app.runs.start import RunRequest, start_run, template_of

POLL = 0.1


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
    bundle: Bundle, request: RunRequest, counts: list[int], workers: int, say: Callable[[str], None]
) -> Iterator[PipelineFigures]:
    """One row an order count.

    Raises:
        InvalidInput: no broker is configured, or the request is wrong.
        YeeterError: a run did not end as it should.
    """
    if bundle.is_embedded:
        raise InvalidInput(Problem("RABBITMQ_URL", "the pipeline is measured over a broker", "set it"))
    for orders in counts:
        say(f"{orders} orders: emission")
        emitted = _measure_emission(bundle, request, orders, workers)
        say(f"{orders} orders: the whole way, {workers} workers")
        yield _measure_whole_way(bundle, request, orders, workers, emitted)


def _measure_emission(bundle: Bundle, request: RunRequest, orders: int, workers: int) -> float:
    run = _start(bundle, request, orders)
    times = _EmissionTimes()
    follower = FeedFollower(bundle.database.feed, run.id, times.apply)
    follower.start()
    try:
        with Measured("app.producer", run.id, environment=_unbounded(orders)) as producer:
            _wait(producer, lambda: times.queued >= orders)
            with _workers(bundle, run, workers):
                _wait(producer, lambda: False)
        _check_end(bundle, run)
    finally:
        follower.stop()
    return orders / times.seconds


def _measure_whole_way(
    bundle: Bundle, request: RunRequest, orders: int, workers: int, emitted: float
) -> PipelineFigures:
    run = _start(bundle, request, orders)
    with _workers(bundle, run, workers) as pool:
        time.sleep(1.0)  # their start is not part of the measurement
        with Measured("app.producer", run.id) as producer:
            _wait(producer, lambda: False, *pool)
        _check_end(bundle, run)
        for worker in pool:
            worker.look()
    with bundle.database.transaction() as work:
        summary = work.runs.get(run.id).summary or {}
    worker_cpu = sum(worker.cpu_seconds or 0.0 for worker in pool)
    return PipelineFigures(
        orders=orders,
        workers=workers,
        emitted_per_second=round(emitted, 1),
        whole_way_per_second=round(orders / summary["wall_seconds"], 1),
        status=summary["status"],
        missing=summary["reconciliation"]["missing"],
        producer_mib=_rounded(producer.peak_mib),
        worker_mib=_rounded(max((worker.peak_mib or 0.0 for worker in pool), default=None)),
        producer_cpu_ms_per_order=_rounded((producer.cpu_seconds or 0.0) / orders * 1000),
        worker_cpu_ms_per_order=_rounded(worker_cpu / orders * 1000),
    )


def _start(bundle: Bundle, request: RunRequest, orders: int) -> Run:
    sized = RunRequest(**{**asdict(request), "orders": orders})
    return start_run(bundle.database, bundle.types, sized, datetime.now())  # noqa: DTZ005 - the department's local time


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


@contextmanager
def _workers(bundle: Bundle, run: Run, count: int) -> Iterator[list[Measured]]:
    queues = ",".join(template_of(run).queues(bundle.settings.rabbitmq_order_queue))
    with ExitStack() as stack:
        yield [stack.enter_context(Measured("app.worker", "--queues", queues)) for _ in range(count)]


def _wait(producer: Measured, until: Callable[[], bool], *others: Measured) -> None:
    """Wait until it is so, or the producer has ended; looks at the processes meanwhile."""
    while not until() and not producer.has_ended:
        for process in (producer, *others):
            process.look()
        time.sleep(POLL)


def _check_end(bundle: Bundle, run: Run) -> None:
    with bundle.database.transaction() as work:
        ended = work.runs.get(run.id)
    if ended.state is not RunState.COMPLETED:
        raise YeeterError(f"the measured run ended {ended.state}: {ended.reason or 'see its events'}")


def _unbounded(orders: int) -> dict[str, str]:
    """Emission alone is measured without workers, so nothing may hold publishing back."""
    return {"YEETER_BACKPRESSURE_MARK": str(orders)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
