"""Every metric that a program of ours tells: by name, with its type, labels and meaning."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from prometheus_client.core import Metric

from app.api.metrics import ApiMetrics
from app.autoscaler.metrics import Metrics
from app.domain.scaling import PoolLoad, ScalingDecision, ScalingKind
from app.worker.metrics import WorkerMetrics
from tests.api.in_process import InProcess, over_a_broker

SUFFIX = {"counter": "_total", "info": "_info"}
PARTS = {"histogram": ("_bucket", "_count", "_sum")}  # by these names it is asked for


class Told(NamedTuple):
    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str

    @property
    def series(self) -> set[str]:
        return {self.name + part for part in PARTS.get(self.type, ("",))}


def told_by_us(home: Path) -> list[Told]:
    """Of each program, in its own order; what two of them tell alike is there once."""
    with over_a_broker(home) as application:
        application.bundle.broker.declare([application.bundle.settings.rabbitmq_order_queue])
        families = [*_of_the_worker(application), *_of_the_api(application), *_of_the_autoscaler()]
    return list(dict.fromkeys(_told(family) for family in families))


def _of_the_worker(application: InProcess) -> Iterable[Metric]:
    metrics = WorkerMetrics(["WAIT"])
    metrics.watch(application.bundle.worker(("queue",)))
    return metrics.families()


def _of_the_api(application: InProcess) -> Iterable[Metric]:
    metrics = ApiMetrics(application.bundle, lambda: 0.0)
    metrics.count("GET", "/", 200, 0.1)
    return metrics.families()


def _of_the_autoscaler() -> Iterable[Metric]:
    metrics = Metrics()
    decision = ScalingDecision("p", datetime.now(UTC), ScalingKind.OUT, 1, 2, 2, "", 5.0, PoolLoad(1, 2, 3))
    metrics.tell([decision], ["x"], leads=True)
    return metrics.families()


def _told(family: Metric) -> Told:
    labels = {label for sample in family.samples for label in sample.labels} - {"le"}
    type_ = "gauge" if family.type == "info" else family.type
    name = family.name + SUFFIX.get(family.type, "")
    return Told(name, type_, tuple(sorted(labels)), family.documentation)
