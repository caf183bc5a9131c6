"""The summary's figures where a run did not go straight on: retries, dead letters, reopening, time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain import event as kinds
from app.domain.event import Event, RecordedEvent
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold
from app.runs.reading.summary import SummaryFold

BEGIN = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - any moment


def folded(*events: tuple[float, str, dict[str, Any]]) -> SummaryFold:
    """Of events at so many seconds after the beginning."""
    fold = Folds(ProgressFold(1)).summary
    for seconds, kind, data in events:
        fold.apply(RecordedEvent("c", BEGIN + timedelta(seconds=seconds), Event("run", kind, 0, data=data)))
    return fold


def state(seconds: float, name: str) -> tuple[float, str, dict[str, Any]]:
    return seconds, kinds.RUN_STATE, {"state": name}


def finished(seconds: float, outcome: str) -> tuple[float, str, dict[str, Any]]:
    return seconds, kinds.JOB_FINISHED, {"queue": "q", "worker": "w", "seconds": 0.1, "outcome": outcome}


QUEUED = (1.0, kinds.JOB_QUEUED, {"queue": "q", "job": "j", "publish_seconds": 0.0})


def test_a_retried_job_is_published_and_finished_more_than_once() -> None:
    retried = {"type": "SEND_DICOM", "seconds": 0.1, "reason": "0xC000", "cause": "verdict", "delay_seconds": 1.0}
    fold = folded(QUEUED, (2, kinds.STEP_RETRIED, retried), finished(2, "retried"), QUEUED, finished(4, "succeeded"))
    assert (fold.jobs["published"], fold.jobs["retried"], fold.jobs["succeeded"]) == (2, 1, 1)
    assert fold.jobs_outstanding == 0
    assert fold.dicom["failed"] == 0


def test_a_parked_job_is_not_outstanding() -> None:
    parked = {"type": "SEND_DICOM", "for": "dicom:A@h:1", "reason": "away"}
    fold = folded(QUEUED, (2, kinds.STEP_PARKED, parked))
    assert fold.jobs_outstanding == 0


def test_a_dead_letter_that_is_tried_again_takes_back_its_orders_end() -> None:
    dead = [
        QUEUED,
        (2.0, kinds.STEP_FAILED, {"type": "SEND_DICOM", "seconds": 0.1, "reason": "0xA900"}),
        finished(2, "failed"),
        (2.0, kinds.JOB_DEAD_LETTERED, {"kind": "permanent", "reason": "0xA900"}),
        (2.0, kinds.ORDER_FAILED, {"seconds": 1.0, "reason": "0xA900"}),
    ]
    fold = folded(*dead)
    assert (fold.orders["failed"], fold.dicom["failed"], fold.jobs["dead_lettered"], fold.ended) == (1, 1, 1, 1)
    reopened = [(3.0, kinds.STEP_REOPENED, {"type": "SEND_DICOM"}), (3.0, kinds.ORDER_REOPENED, {})]
    fold = folded(*dead, *reopened)
    assert (fold.orders["failed"], fold.dicom["failed"], fold.jobs["dead_lettered"], fold.ended) == (0, 0, 1, 0)


def sent(**changes: Any) -> tuple[float, str, dict[str, Any]]:
    """An order that was due two seconds before it was handed over, and was begun half a second before that."""
    data = {"type": "GENERATE_HL7", "verdict": "accepted", "code": "AA", "attempts": 1, "timeouts": 0, "errors": 0}
    data |= {"possibly_duplicated": False, "begin_seconds": 0.5, "wait_seconds": 1.0, "seconds": 0.25}
    data |= {"ack_seconds": 0.125, "slip_seconds": 2.0, "blocked_seconds": 0.0}
    return 1.0, kinds.STEP_SUCCEEDED, data | changes


COMPLETED = (5.0, kinds.ORDER_COMPLETED, {"seconds": 10.0})
FAILED = (5.0, kinds.ORDER_FAILED, {"seconds": 1.0, "reason": "0xA900"})


def longest(fold: SummaryFold) -> dict[str, float | None]:
    stages = ("schedule_slip", "hl7_ack", "order_to_stored")
    return {stage: fold.latency[stage].summary().get("max") for stage in stages}


def test_latency_counts_from_the_due_time() -> None:
    """Resends included: ``seconds`` are those of all transmissions."""
    times = longest(folded(sent(), COMPLETED))
    assert times == pytest.approx({"schedule_slip": 3.0, "hl7_ack": 3.25, "order_to_stored": 11.5}, rel=0.001)


def test_without_a_due_time_it_counts_from_the_transmission() -> None:
    closed = sent()
    del closed[2]["slip_seconds"], closed[2]["blocked_seconds"]
    times = longest(folded(closed, COMPLETED))
    assert times["schedule_slip"] is None
    assert times["hl7_ack"] == pytest.approx(0.125, rel=0.001)
    assert times["order_to_stored"] == pytest.approx(10.0, rel=0.001)


def test_an_order_whose_dead_letter_is_tried_again_is_as_late_as_it_was() -> None:
    fold = folded(sent(), FAILED, (6.0, kinds.ORDER_REOPENED, {}), COMPLETED)
    assert longest(fold)["order_to_stored"] == pytest.approx(11.5, rel=0.001)


def test_nothing_is_kept_of_an_order_that_has_ended() -> None:
    for end in (COMPLETED, (5.0, kinds.ORDER_CANCELLED, {})):
        assert folded(sent(), end)._begun_late == {}
    rejected = sent(verdict="rejected", code="AR")
    assert folded((1.0, kinds.STEP_FAILED, rejected[2]), FAILED)._begun_late == {}


@pytest.mark.parametrize(
    ("events", "seconds"),
    [
        ([], 0.0),
        ([state(0, "PENDING"), state(5, "FAILED")], 0.0),  # it never began
        ([state(0, "PENDING"), state(2, "RUNNING"), state(10, "WAITING_ON_WORKERS"), QUEUED], 8.0),
        ([state(2, "RUNNING"), state(4, "PAUSED"), state(9, "RUNNING"), state(12, "RECONCILING")], 10.0),
        ([state(2, "RUNNING"), state(12, "FAILED"), state(5000, "WAITING_ON_WORKERS"), state(5004, "COMPLETED")], 14.0),
    ],
    ids=["nothing", "never began", "in between", "paused", "reopened"],
)
def test_how_long_it_took_by_the_events_own_times(
    events: list[tuple[float, str, dict[str, Any]]], seconds: float
) -> None:
    assert folded(*events).wall_seconds() == seconds
