"""Progress: a few counts folded from a run's events, small enough to be shown several times a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

from app.domain import event as kinds
from app.domain.event import Event
from app.domain.metrics import Depths


@dataclass(slots=True)
class ProgressFold:
    """Folds events one by one, each exactly once and in the feed's order.

    What an order's job is doing is kept under its number: None while it waits in the queue, or the worker that runs it.
    The feed has a job's events in the order of their causes, but for one: a worker may have started a job, or parked
    it, before its producer has written that the broker has it.
    """

    requested: int
    emitted: int = 0
    acknowledged: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    generated: int = 0  # instances
    stored: int = 0  # instances
    _refused: int = 0  # orders that failed without an acceptance
    _finished: int = 0  # jobs
    _seconds: float = 0.0  # that those jobs took
    _jobs: dict[int, str | None] = field(default_factory=dict)
    _workers: Counter[str] = field(default_factory=Counter)  # with the jobs of these that each has
    _overtaken: set[tuple[int, int | None, int, int]] = field(default_factory=set)  # "queued" events still to come

    def apply(self, event: Event) -> None:
        take = self._BY_KIND.get(event.kind)
        if take is not None and event.order_number is not None:
            take(self, event.order_number, event)

    def _step(self, number: int, event: Event) -> None:
        data = event.data
        match data["type"]:
            case "GENERATE_HL7":
                accepted = data["verdict"] == "accepted"
                self.emitted += data["attempts"] > 0
                self.acknowledged += accepted
                self._refused += not accepted
            case "GENERATE_DICOM":
                self.generated += data.get("instances", 0)
            case "SEND_DICOM":
                self.stored += data.get("stored", 0)

    def _job_queued(self, number: int, event: Event) -> None:
        key = (number, event.step_index, event.epoch, event.starts)
        if key in self._overtaken:
            self._overtaken.remove(key)
        else:
            self._put(number, None)

    def _job_started(self, number: int, event: Event) -> None:
        self._expect_queued(number, event, event.starts - 1)
        self._put(number, event.data["worker"])

    def _job_finished(self, number: int, event: Event) -> None:
        self._drop(number)
        self._finished += 1
        self._seconds += event.data["seconds"]

    def _step_parked(self, number: int, event: Event) -> None:
        self._expect_queued(number, event, event.starts)
        self._drop(number)

    def _order_reopened(self, number: int, event: Event) -> None:
        self.failed -= 1

    def _order_completed(self, number: int, event: Event) -> None:
        self.completed += 1

    def _order_failed(self, number: int, event: Event) -> None:
        self.failed += 1
        self._drop(number)  # its queue was purged

    def _order_cancelled(self, number: int, event: Event) -> None:
        self.cancelled += 1
        self._drop(number)

    # A table, not a match: every fold looks the kind of every event up.
    _BY_KIND: ClassVar[dict[str, Callable[[ProgressFold, int, Event], None]]] = {
        kinds.STEP_SUCCEEDED: _step,
        kinds.STEP_FAILED: _step,
        kinds.JOB_QUEUED: _job_queued,
        kinds.JOB_STARTED: _job_started,
        kinds.JOB_FINISHED: _job_finished,
        kinds.STEP_PARKED: _step_parked,
        kinds.ORDER_REOPENED: _order_reopened,
        kinds.ORDER_COMPLETED: _order_completed,
        kinds.ORDER_FAILED: _order_failed,
        kinds.ORDER_CANCELLED: _order_cancelled,
    }

    def _put(self, number: int, worker: str | None) -> None:
        self._drop(number)
        self._jobs[number] = worker
        if worker is not None:
            self._workers[worker] += 1

    def _drop(self, number: int) -> None:
        worker = self._jobs.pop(number, None)
        if worker is not None:
            self._workers[worker] -= 1
            if not self._workers[worker]:
                del self._workers[worker]

    def _expect_queued(self, number: int, event: Event, starts: int) -> None:
        if number not in self._jobs:
            self._overtaken.add((number, event.step_index, event.epoch, starts))

    @property
    def running(self) -> int:
        """Jobs that a worker has claimed."""
        return self._workers.total()

    @property
    def queued(self) -> int:
        """Jobs that are published and wait for a worker."""
        return len(self._jobs) - self.running

    @property
    def remaining(self) -> int:
        """Depth of the run's queue: acknowledged orders whose next job is published or held back, and not running."""
        ended = self.completed + self.failed + self.cancelled - self._refused
        return self.acknowledged - ended - self.running

    @property
    def active_workers(self) -> int:
        return len(self._workers)

    @property
    def depths(self) -> Depths:
        return Depths(self.queued, self.running, self.active_workers)

    @property
    def mean_seconds(self) -> float | None:
        """Mean time a worker took for a job; None before the first one is finished."""
        return self._seconds / self._finished if self._finished else None
