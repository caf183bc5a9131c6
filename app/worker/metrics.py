"""What Prometheus is told of a worker: counted as jobs are written, and asked of the worker when it is scraped."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from app import __version__
from app.domain.run import StepState
from app.domain.work import Claim, JobFinish, JobOutcome, StepOutcome
from app.runs.working.work import Worker

JOB_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)  # seconds
STORE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WAIT_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)
OTHER = "other"  # stands for step types that this worker does not have: a message could name any


class WorkerMetrics:
    """A registry of its own. No label has a run, an order or a worker in it: their number knows no bound."""

    def __init__(self, step_types: Collection[str]) -> None:
        self._registry = registry = CollectorRegistry()

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"yeeter_worker_{name}_seconds", text, labels, registry=registry, buckets=buckets)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"yeeter_worker_{name}", text, labels, registry=registry)

        jobs = counter("jobs", "Jobs that were run and written.", "outcome")
        steps = histogram("step", "Time that a step took.", JOB_BUCKETS, "type")
        # Looked up once: what is never counted is told as 0, and counting is cheap.
        self._jobs = {outcome: jobs.labels(outcome) for outcome in get_args(JobOutcome)}
        self._steps = {type_: steps.labels(type_) for type_ in (*step_types, OTHER)}
        self._job = histogram("job", "Time that a job took, all its steps together.", JOB_BUCKETS)
        self._c_store = histogram("c_store", "Time that the archive took for an instance.", STORE_BUCKETS)
        self._wait = histogram("queue_wait", "Time that a job waited, from being due to its claim.", WAIT_BUCKETS)
        self._instances = counter("stored_instances", "Instances that archives have accepted.")
        self._bytes = counter("stored_bytes", "Bytes of those instances.")
        Info("yeeter_build", "Always 1; the label is the program's version.", registry=registry).info(
            {"version": __version__}
        )

    def watch(self, worker: Worker) -> None:
        """Ask this worker, too, whenever somebody scrapes."""
        self._registry.register(_WorkerState(worker))

    def finished(self, claim: Claim, finish: JobFinish) -> None:
        self._jobs[finish.outcome].inc()
        self._job.observe(finish.seconds)
        self._wait.observe(claim.wait_seconds)
        for step in finish.steps:
            if step.state is not StepState.CANCELLED:  # those were not run
                self._steps.get(step.type, self._steps[OTHER]).observe(step.seconds)
            if step.type == "SEND_DICOM":
                self._sent(step)

    def families(self) -> Iterable[Metric]:
        """What would be told now."""
        return self._registry.collect()

    def page(self) -> tuple[int, str, bytes]:
        return 200, CONTENT_TYPE_LATEST, generate_latest(self._registry)

    def _sent(self, step: StepOutcome) -> None:
        for seconds in step.data.get("c_store", ()):
            self._c_store.observe(seconds)
        self._instances.inc(step.data.get("stored", 0))
        self._bytes.inc(step.data.get("bytes", 0))


class _WorkerState(Collector):
    """What a worker knows of itself."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def collect(self) -> Iterable[Metric]:
        worker = self._worker

        def gauge(name: str, text: str, value: float) -> Metric:
            return GaugeMetricFamily(f"yeeter_worker_{name}", text, value)

        yield gauge("alive", "1 while none of its threads has ended.", worker.is_alive)
        yield gauge("broker_connected", "1 while RabbitMQ brings it jobs.", worker.is_connected)
        yield gauge("concurrency", "Jobs that it runs side by side.", worker.concurrency)
        yield gauge("jobs_running", "Jobs that it has claimed and not yet written.", worker.running)
        yield gauge("hands_lost", "Threads whose steps ignored their time limits, and still run.", worker.hands_lost)
        text = "Jobs that were run in a process of their own."
        yield CounterMetricFamily("yeeter_worker_isolated_jobs", text, worker.jobs_isolated)
