"""The summary: folded from the run's events, never counted in memory alone, so whoever reads the feed gets the same."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from app.domain import event as kinds
from app.domain.event import RecordedEvent
from app.domain.run import Run, Verdict
from app.domain.threshold import STAGES, STANDING_THRESHOLDS, ThresholdResult, evaluate, parse_threshold
from app.runs.reading.clock import RunClock
from app.runs.reading.course import CourseFold
from app.runs.reading.load import LoadFold
from app.util.latency import Latency


@dataclass(slots=True)
class WorkerFigures:
    jobs: int = 0
    busy_seconds: float = 0.0
    first: datetime | None = None
    last: datetime | None = None


@dataclass(slots=True)
class SummaryFold:
    """Folds events one by one; an event folded twice would count twice, so feed it from one cursor."""

    course: CourseFold
    hl7: Counter[str] = field(default_factory=Counter)
    dicom: Counter[str] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    latency: dict[str, Latency] = field(default_factory=lambda: {stage: Latency() for stage in STAGES})
    # By type, but for those that are stages of their own.
    steps: defaultdict[str, Latency] = field(default_factory=lambda: defaultdict(Latency))
    workers: dict[str, WorkerFigures] = field(default_factory=dict)
    clock: RunClock = field(default_factory=RunClock)
    load: LoadFold = field(init=False)
    _now: float = 0.0  # of the run's clock, at the event that is being applied
    _begun_late: dict[int | None, float] = field(default_factory=dict)  # seconds, of orders that may still complete

    def __post_init__(self) -> None:
        self.load = LoadFold(self.clock)

    def apply(self, recorded: RecordedEvent) -> None:
        self.clock.apply(recorded)
        self._now = self.clock.since_begin(recorded.at)
        take = self._BY_KIND.get(recorded.event.kind)
        if take is not None:
            take(self, recorded)
        self.course.count(self._now, recorded.event)

    def _observe(self, stage: str, seconds: float) -> None:
        self.latency[stage].record(seconds)
        self.course.observe(self._now, stage, seconds)

    def _load(self, recorded: RecordedEvent) -> None:
        self.load.apply(recorded)

    def _step(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        data, type_ = event.data, event.data["type"]
        if type_ == "GENERATE_HL7":
            self._order_sent(data)
            self._sent_in_time(event.order_number, data)
            return
        self.steps[type_].record(data["seconds"])  # that of an order's message is hl7_ack
        if type_ == "SEND_DICOM":
            self._study_sent(data, event.kind == kinds.STEP_SUCCEEDED)
        elif type_ == "GENERATE_DICOM" and event.kind == kinds.STEP_SUCCEEDED:
            self.dicom["studies_generated"] += 1
            self.dicom["instances_generated"] += data["instances"]

    def _study_sent(self, data: Mapping[str, Any], succeeded: bool) -> None:
        self.dicom["failed"] += not succeeded
        self.dicom["instances_stored"] += data.get("stored", 0)
        self.dicom["warnings"] += data.get("warnings", 0)
        self.dicom["bytes_stored"] += data.get("bytes", 0)
        for seconds in data.get("c_store", ()):
            self._observe("c_store", seconds)

    def _order_sent(self, data: Mapping[str, Any]) -> None:
        self.orders["emitted"] += data["attempts"] > 0
        self.hl7["sent"] += data["attempts"]
        self.hl7["resent"] += max(data["attempts"] - 1, 0)
        self.hl7["accepted"] += data["verdict"] == "accepted"
        self.hl7["rejected"] += data["verdict"] == "rejected"
        self.hl7["errors"] += data["errors"]
        self.hl7["timeouts"] += data["timeouts"]
        self.hl7["possibly_duplicated"] += data["possibly_duplicated"]

    def _sent_in_time(self, number: int | None, data: Mapping[str, Any]) -> None:
        """Latency from when the order was due; where it had no due time, of its last transmission alone."""
        if "slip_seconds" not in data:
            if data["code"]:
                self._observe("hl7_ack", data["ack_seconds"])
            return
        slip, wait = data["slip_seconds"], data["wait_seconds"]
        if data["attempts"]:
            self._observe("schedule_slip", slip + wait)
            self.load.sent(slip, wait, data["blocked_seconds"])
        if data["code"]:
            self._observe("hl7_ack", slip + wait + data["seconds"])
        if data["verdict"] == "accepted":
            self._begun_late[number] = slip - data["begin_seconds"]

    def _step_parked(self, recorded: RecordedEvent) -> None:
        self.jobs["parked"] += 1

    def _step_reopened(self, recorded: RecordedEvent) -> None:
        self.dicom["failed"] -= recorded.event.data["type"] == "SEND_DICOM"

    def _job_queued(self, recorded: RecordedEvent) -> None:
        self.jobs["published"] += 1
        self._observe("publish", recorded.event.data["publish_seconds"])

    def _job_started(self, recorded: RecordedEvent) -> None:
        self.jobs["started"] += 1
        self._observe("job_wait", recorded.event.data["wait_seconds"])

    def _job_finished(self, recorded: RecordedEvent) -> None:
        data = recorded.event.data
        self.jobs["finished"] += 1
        self.jobs[data["outcome"]] += 1
        self._observe("job_run", data["seconds"])
        worker = self.workers.setdefault(data["worker"], WorkerFigures())
        worker.jobs += 1
        worker.busy_seconds += data["seconds"]
        worker.first = worker.first or recorded.at
        worker.last = recorded.at

    def _job_dead_lettered(self, recorded: RecordedEvent) -> None:
        self.jobs["dead_lettered"] += 1

    def _order_reopened(self, recorded: RecordedEvent) -> None:
        self.orders["failed"] -= 1

    def _order_completed(self, recorded: RecordedEvent) -> None:
        self.orders["completed"] += 1
        late = self._begun_late.pop(recorded.event.order_number, 0.0)
        self._observe("order_to_stored", late + recorded.event.data["seconds"])

    def _order_failed(self, recorded: RecordedEvent) -> None:
        self.orders["failed"] += 1

    def _order_cancelled(self, recorded: RecordedEvent) -> None:
        self.orders["cancelled"] += 1
        self._begun_late.pop(recorded.event.order_number, None)

    _BY_KIND: ClassVar[dict[str, Callable[[SummaryFold, RecordedEvent], None]]] = {
        kinds.RUN_STATE: _load,
        kinds.RUN_LOAD: _load,
        kinds.STEP_SUCCEEDED: _step,
        kinds.STEP_FAILED: _step,
        kinds.STEP_PARKED: _step_parked,
        kinds.STEP_REOPENED: _step_reopened,
        kinds.JOB_QUEUED: _job_queued,
        kinds.JOB_STARTED: _job_started,
        kinds.JOB_FINISHED: _job_finished,
        kinds.JOB_DEAD_LETTERED: _job_dead_lettered,
        kinds.ORDER_REOPENED: _order_reopened,
        kinds.ORDER_COMPLETED: _order_completed,
        kinds.ORDER_FAILED: _order_failed,
        kinds.ORDER_CANCELLED: _order_cancelled,
    }

    @property
    def ended(self) -> int:
        """Orders in a terminal state."""
        return self.orders["completed"] + self.orders["failed"] + self.orders["cancelled"]

    @property
    def jobs_outstanding(self) -> int:
        """Published, and neither finished nor parked."""
        return self.jobs["published"] - self.jobs["finished"] - self.jobs["parked"]

    def wall_seconds(self) -> float:
        """How long the run has taken, to its latest event; see :class:`RunClock`."""
        return self.clock.seconds

    def summary(self, run: Run, wall_seconds: float) -> dict[str, Any]:
        """The figures so far; reconciliation, thresholds and verdict come on top at the end."""
        return {
            "run_id": run.id,
            "run_key": run.run_key,
            "template": run.template_name,
            "status": run.state.value,
            "verdict": run.verdict.value if run.verdict else None,
            "seed": run.seed,
            "epoch": run.epoch,
            "wall_seconds": round(wall_seconds, 3),
            "orders": self._order_counts(run),
            "hl7": {name: self.hl7[name] for name in _HL7},
            "dicom": {name: self.dicom[name] for name in _DICOM},
            "jobs": {name: self.jobs[name] for name in _JOBS},
            "rates": self._rates(wall_seconds),
            "load": self.load.summary(run, self.latency["schedule_slip"]),
            "latency_seconds": {stage: latency.summary() for stage, latency in self.latency.items()},
            "workers": [_worker(name, figures) for name, figures in sorted(self.workers.items())],
        }

    def _order_counts(self, run: Run) -> dict[str, int]:
        return {
            "requested": run.requested,
            "emitted": self.orders["emitted"],
            "acknowledged": self.hl7["accepted"],
            "completed": self.orders["completed"],
            "failed": self.orders["failed"],
            "cancelled": self.orders["cancelled"],
            "not_emitted": run.requested - self.orders["emitted"],
        }

    def _rates(self, wall_seconds: float) -> dict[str, float]:
        seconds = max(wall_seconds, 1e-9)
        return {
            "orders_per_second": round(self.orders["completed"] / seconds, 2),
            "instances_per_second": round(self.dicom["instances_stored"] / seconds, 2),
            "bytes_per_second": round(self.dicom["bytes_stored"] / seconds),
        }


_HL7 = ("sent", "accepted", "errors", "rejected", "timeouts", "resent", "possibly_duplicated")
_DICOM = ("studies_generated", "instances_generated", "instances_stored", "bytes_stored", "warnings", "failed")
_JOBS = ("published", "succeeded", "retried", "dead_lettered")


def _worker(name: str, figures: WorkerFigures) -> dict[str, Any]:
    span = (figures.last - figures.first).total_seconds() if figures.first and figures.last else 0.0
    return {
        "id": name,
        "jobs": figures.jobs,
        "jobs_per_second": round(figures.jobs / span, 2) if span > 0 else None,
        "busy": round(figures.busy_seconds, 3),
    }


def judge(summary: dict[str, Any], own: tuple[str, ...]) -> tuple[Verdict, list[ThresholdResult]]:
    """Compare with the standing thresholds and the template's own.

    ``inconclusive`` means that nothing is wrong, but part of it could not be verified, or was cancelled.
    """
    results = [evaluate(parse_threshold(expression), summary) for expression in (*STANDING_THRESHOLDS, *own)]
    if not all(result.met for result in results):
        return Verdict.FAIL, results
    orders = summary["orders"]
    is_part = summary["reconciliation"]["unverifiable"] or orders["cancelled"] or not orders["completed"]
    return (Verdict.INCONCLUSIVE if is_part else Verdict.PASS), results
