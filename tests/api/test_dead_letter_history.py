"""The history of a dead letter: an entry for each start of its job, folded from the order's events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.api.dead_letter_detail import attempts
from app.domain import event as kinds
from app.domain.event import Event, RecordedEvent

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def recorded(*events: tuple[str, int, int, int, dict[str, Any]]) -> list[RecordedEvent]:
    """Events a second apart, each (kind, step, starts, epoch, data)."""
    return [
        RecordedEvent(str(number), NOON + timedelta(seconds=number), Event("run", kind, 7, step, starts, epoch, data))
        for number, (kind, step, starts, epoch, data) in enumerate(events)
    ]


def started(step: int, starts: int, epoch: int = 0, worker: str = "w1") -> tuple[str, int, int, int, dict[str, Any]]:
    return kinds.JOB_STARTED, step, starts, epoch, {"worker": worker, "wait_seconds": 0.1}


def finished(step: int, starts: int, outcome: str, epoch: int = 0) -> tuple[str, int, int, int, dict[str, Any]]:
    return kinds.JOB_FINISHED, step, starts, epoch, {"outcome": outcome, "seconds": 1.0, "queue": "q", "worker": "w1"}


def test_each_start_is_an_entry_with_what_came_of_it() -> None:
    retried = {"type": "VERIFY", "reason": "not yet", "cause": "verdict", "delay_seconds": 2.0}
    history = attempts(
        recorded(
            (kinds.STEP_SUCCEEDED, 0, 1, 0, {"type": "GENERATE_HL7"}),
            (kinds.JOB_QUEUED, 1, 0, 0, {"queue": "q"}),
            started(1, 1),
            (kinds.STEP_SUCCEEDED, 1, 1, 0, {"type": "GENERATE_DICOM"}),
            (kinds.STEP_RETRIED, 2, 1, 0, retried),
            finished(1, 1, "retried"),
            started(2, 2, worker="w2"),
            (kinds.STEP_FAILED, 2, 2, 0, {"type": "VERIFY", "reason": "never"}),
            (kinds.STEP_CANCELLED, 3, 2, 0, {"type": "NOTIFY"}),
            finished(2, 2, "failed"),
            (kinds.JOB_DEAD_LETTERED, 2, 2, 0, {"kind": "exhausted", "reason": "never"}),
            (kinds.ORDER_FAILED, 0, 0, 0, {}),
        )
    )
    first, second = history
    assert (first.worker, first.outcome, first.reason, first.cause) == ("w1", "retried", "not yet", "verdict")
    assert (first.delay_seconds, first.step_index, first.ended_at) == (2.0, 1, NOON + timedelta(seconds=5))
    assert (second.worker, second.outcome, second.reason) == ("w2", "failed", "never")
    assert second.ended_at == NOON + timedelta(seconds=9)


def test_a_start_of_which_nothing_was_heard_again_has_no_outcome() -> None:
    lost, found = attempts(recorded(started(1, 1), started(1, 2, worker="w2"), finished(1, 2, "succeeded")))
    assert (lost.outcome, lost.ended_at) == (None, None)
    assert (found.outcome, found.worker) == ("succeeded", "w2")


def test_parking_and_reopening_are_entries_of_their_own() -> None:
    history = attempts(
        recorded(
            (kinds.STEP_PARKED, 2, 0, 0, {"type": "SEND_DICOM", "for": "dicom:A@h:1", "reason": "refused"}),
            started(2, 1),
            (kinds.STEP_FAILED, 2, 1, 0, {"type": "SEND_DICOM", "reason": "no"}),
            finished(2, 1, "failed"),
            (kinds.STEP_REOPENED, 2, 1, 1, {"type": "SEND_DICOM"}),
            started(2, 1, epoch=1, worker="w3"),
            finished(2, 1, "succeeded", epoch=1),
        )
    )
    assert [(entry.epoch, entry.outcome, entry.worker) for entry in history] == [
        (0, "parked", None),
        (0, "failed", "w1"),
        (1, "reopened", None),
        (1, "succeeded", "w3"),
    ]
    assert history[0].reason == "refused"
