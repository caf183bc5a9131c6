"""The summary's figures where a run did not go straight on: retries, dead letters, reopening, time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain import event as kinds
from app.domain.event import Event, RecordedEvent
from app.runs.reading.summary import SummaryFold

BEGIN = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - any moment


def folded(*events: tuple[float, str, dict[str, Any]]) -> SummaryFold:
    """Of events at so many seconds after the beginning."""
    fold = SummaryFold()
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
