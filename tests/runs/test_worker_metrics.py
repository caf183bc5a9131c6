"""What a worker tells Prometheus, and its log, of its jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.domain.run import OrderState, StepState
from app.domain.work import Claim, JobFinish, StepOutcome
from app.ports import StepContext, StepResult
from app.runs.working.work import Worker
from app.worker.figures import EVERY, WorkerFigures
from app.worker.metrics import WorkerMetrics
from tests.runs.conftest import World

CLAIM = Claim(granted=True, wait_seconds=0.3)
STORED = {"stored": 3, "bytes": 3000, "c_store": [0.004, 0.004, 0.2]}


def finish(*steps: StepOutcome, seconds: float = 1.0, stored: int = 0) -> JobFinish:
    return JobFinish("r", 1, 0, 1, "f", 1, "jobs", "w", seconds, steps, instances_stored=stored)


def step(type_: str, state: StepState = StepState.SUCCEEDED, seconds: float = 0.5, **data: Any) -> StepOutcome:
    return StepOutcome(1, type_, state, seconds, data)


def told(metrics: WorkerMetrics) -> Mapping[str, float]:
    """By name and labels, as they stand on the page."""
    lines = metrics.page()[2].decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ([StepState.SUCCEEDED, StepState.SUCCEEDED], "succeeded"),
        ([StepState.SUCCEEDED, StepState.READY], "retried"),
        ([StepState.FAILED, StepState.CANCELLED], "failed"),
        ([StepState.SUCCEEDED, StepState.CANCELLED], "cancelled"),
    ],
)
def test_a_job_counts_under_its_outcome(states: list[StepState], outcome: str) -> None:
    metrics = WorkerMetrics(["VERIFY"])
    metrics.finished(CLAIM, finish(*(step("VERIFY", state) for state in states)))
    jobs = {name: count for name, count in told(metrics).items() if name.startswith("yeeter_worker_jobs_total")}
    assert len(jobs) == 4 and {name: count for name, count in jobs.items() if count} == {
        f'yeeter_worker_jobs_total{{outcome="{outcome}"}}': 1
    }
    # What was cancelled was not run, and has taken no time.
    run = sum(state is not StepState.CANCELLED for state in states)
    assert told(metrics)['yeeter_worker_step_seconds_count{type="VERIFY"}'] == run


def test_what_was_stored_is_counted_by_instance_and_byte() -> None:
    metrics = WorkerMetrics(["SEND_DICOM"])
    metrics.finished(CLAIM, finish(step("SEND_DICOM", **STORED), seconds=2.0))
    metrics.finished(CLAIM, finish(step("SEND_DICOM", StepState.READY, error="TransportFault")))
    figures = told(metrics)
    assert figures["yeeter_worker_stored_instances_total"] == 3
    assert figures["yeeter_worker_stored_bytes_total"] == 3000
    assert figures["yeeter_worker_c_store_seconds_count"] == 3
    assert figures['yeeter_worker_c_store_seconds_bucket{le="0.005"}'] == 2
    assert figures["yeeter_worker_job_seconds_sum"] == 3.0
    assert figures["yeeter_worker_queue_wait_seconds_sum"] == pytest.approx(0.6)


def test_a_step_type_that_only_a_message_names_makes_no_series_of_its_own() -> None:
    metrics = WorkerMetrics(["WAIT"])
    before = set(told(metrics))
    for number in range(10):
        metrics.finished(CLAIM, finish(step(f"FORGED_{number}", StepState.READY)))
    assert set(told(metrics)) == before
    assert told(metrics)['yeeter_worker_step_seconds_count{type="other"}'] == 10


class Heard:
    def __init__(self) -> None:
        self.finishes: list[JobFinish] = []

    def finished(self, claim: Claim, finish: JobFinish) -> None:
        assert claim.granted
        self.finishes.append(finish)


def test_an_observer_hears_of_each_job_once_and_the_gauges_of_the_worker(world: World) -> None:
    heard, metrics = Heard(), WorkerMetrics(["GENERATE_DICOM", "SEND_DICOM"])
    worker = world.worker(observers=(heard, metrics))
    metrics.watch(worker)
    assert state_of(metrics, worker)["yeeter_worker_broker_connected"] == 0
    run = world.start(orders=5)
    worker.start()
    assert state_of(metrics, worker)["yeeter_worker_broker_connected"] == 1
    try:
        world.producer(run).produce()
    finally:
        assert worker.stop(grace=10.0)
    assert sorted(each.order_number for each in heard.finishes) == list(range(5))
    assert {each.order_state for each in heard.finishes} == {OrderState.COMPLETED}
    figures = state_of(metrics, worker)
    assert figures['yeeter_worker_jobs_total{outcome="succeeded"}'] == 5
    assert figures["yeeter_worker_jobs_running"] == 0 and figures["yeeter_worker_concurrency"] == 2
    assert figures["yeeter_worker_broker_connected"] == 0


def state_of(metrics: WorkerMetrics, worker: Worker) -> Mapping[str, float]:
    figures = told(metrics)
    assert figures["yeeter_worker_alive"] == worker.is_alive
    return figures


def test_a_job_that_another_worker_has_by_now_is_not_heard_of(world: World) -> None:
    heard = Heard()
    run = world.start(orders=1)
    step = world.steps.steps["GENERATE_DICOM"]
    act = step.act

    def act_too_late(context: StepContext) -> StepResult:
        """Its claim is voided meanwhile; the second time it is not."""
        step.act = act
        with world.database.transaction() as work:
            work.jobs.recover(run.id)
        return act(context)

    step.act = act_too_late
    worker = world.worker(observers=(heard,))
    worker.start()
    try:
        world.producer(run).produce()
    finally:
        assert worker.stop(grace=10.0)
    assert len(step.ran) == 2 and len(heard.finishes) == 1


# --- the log ---


def test_the_log_has_the_figures_of_every_minute_and_begins_anew() -> None:
    now = 0.0
    figures = WorkerFigures(lambda: now)
    with capture_logs() as lines:
        figures.finished(CLAIM, finish(step("SEND_DICOM"), seconds=2.0, stored=3))
        figures.finished(CLAIM, finish(step("SEND_DICOM", StepState.FAILED), seconds=1.0))
        figures.tell_when_due()
        assert lines == []
        now = EVERY
        figures.tell_when_due()
        figures.tell_when_due()
        now += 10
        figures.tell()
    first, last = lines
    assert first == {
        "event": "figures",
        "log_level": "info",
        "of": "worker",
        "seconds": 60.0,
        "jobs": 2,
        "succeeded": 1,
        "failed": 1,
        "retried": 0,
        "cancelled": 0,
        "jobs_per_second": 0.033,
        "mean_job_seconds": 1.5,
        "mean_wait_seconds": 0.3,
        "instances_stored": 3,
        "jobs_in_all": 2,
    }
    assert (last["seconds"], last["jobs"], last["jobs_in_all"]) == (10.0, 0, 2)
    assert last["mean_job_seconds"] is None
