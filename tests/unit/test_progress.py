"""Progress folded from events."""

from __future__ import annotations

from typing import Any

import pytest

from app.api.views import progress_message
from app.domain import event as kinds
from app.domain.event import Event
from app.runs.reading.progress import ProgressFold


def event(kind: str, number: int | None, **data: Any) -> Event:
    return Event("run", kind, number, data=data)


def sent(number: int, verdict: str = "accepted", attempts: int = 1) -> Event:
    kind = kinds.STEP_SUCCEEDED if verdict == "accepted" else kinds.STEP_FAILED
    return event(kind, number, type="GENERATE_HL7", verdict=verdict, attempts=attempts)


def queued(number: int) -> Event:
    return event(kinds.JOB_QUEUED, number, queue="q", job="j", publish_seconds=0.0)


def started(number: int, worker: str) -> Event:
    return event(kinds.JOB_STARTED, number, worker=worker, wait_seconds=0.0)


def begun(number: int, starts: int) -> Event:
    """The first step of its job, started for so many times."""
    return Event("run", kinds.JOB_STARTED, number, 1, starts, data={"worker": "w", "wait_seconds": 0.0})


def waiting(number: int, starts: int) -> Event:
    """That job is queued, after so many starts."""
    return Event("run", kinds.JOB_QUEUED, number, 1, starts, data={"queue": "q", "job": "j", "publish_seconds": 0.0})


def finished(number: int, seconds: float) -> Event:
    return event(kinds.JOB_FINISHED, number, queue="q", worker="w", seconds=seconds, outcome="succeeded")


def generated(number: int, instances: int) -> Event:
    return event(kinds.STEP_SUCCEEDED, number, type="GENERATE_DICOM", instances=instances, bytes=1)


def stored(number: int, instances: int) -> Event:
    return event(kinds.STEP_SUCCEEDED, number, type="SEND_DICOM", stored=instances)


CASES: list[tuple[str, list[Event], dict[str, Any]]] = [
    ("nothing has happened", [], {"emitted": 0, "remaining": 0, "mean_seconds": None}),
    (
        "an acknowledged order waits to be published",
        [sent(0)],
        {"emitted": 1, "acknowledged": 1, "queued": 0, "remaining": 1},
    ),
    (
        "its job is dead before a worker had it",
        [sent(0), queued(0), event(kinds.ORDER_FAILED, 0, seconds=1.0)],
        {"failed": 1, "queued": 0, "running": 0, "remaining": 0},
    ),
    ("its job waits for a worker", [sent(0), queued(0)], {"queued": 1, "running": 0, "remaining": 1}),
    (
        "two workers run three jobs",
        [*map(sent, range(3)), *map(queued, range(3)), started(0, "a"), started(1, "b"), started(2, "a")],
        {"queued": 0, "running": 3, "remaining": 0, "active_workers": 2},
    ),
    (
        "a job is claimed again by another worker",
        [sent(0), queued(0), started(0, "a"), started(0, "b")],
        {"running": 1, "active_workers": 1},
    ),
    (
        "the next job of the order waits",
        [sent(0), queued(0), started(0, "a"), generated(0, 3), finished(0, 2.0), queued(0)],
        {"running": 0, "queued": 1, "remaining": 1, "generated": 3, "mean_seconds": 2.0},
    ),
    (
        "an order is done",
        [sent(0), queued(0), started(0, "a"), stored(0, 3), finished(0, 1.0), event(kinds.ORDER_COMPLETED, 0)],
        {"completed": 1, "stored": 3, "running": 0, "remaining": 0, "active_workers": 0},
    ),
    (
        "a rejected order is emitted, and no job of it remains",
        [sent(0, "rejected"), event(kinds.ORDER_FAILED, 0), sent(1)],
        {"emitted": 2, "acknowledged": 1, "failed": 1, "remaining": 1},
    ),
    (
        "an order whose job failed",
        [sent(0), queued(0), started(0, "a"), finished(0, 1.0), event(kinds.ORDER_FAILED, 0)],
        {"acknowledged": 1, "failed": 1, "remaining": 0},
    ),
    (
        "a waiting job is cancelled",
        [sent(0), queued(0), event(kinds.STEP_CANCELLED, 0, type="SEND_DICOM"), event(kinds.ORDER_CANCELLED, 0)],
        {"cancelled": 1, "queued": 0, "remaining": 0},
    ),
    (
        "a worker was faster than its producer's note that the job is queued",
        [sent(0), begun(0, 1), waiting(0, 0)],
        {"running": 1, "queued": 0, "remaining": 0},
    ),
    (
        "a job was done before its producer's note that it is queued",
        [sent(0), begun(0, 1), finished(0, 1.0), event(kinds.ORDER_COMPLETED, 0), waiting(0, 0)],
        {"running": 0, "queued": 0, "remaining": 0, "completed": 1},
    ),
    (
        "a job was parked before its producer's note that it is queued",
        [sent(0), Event("run", kinds.STEP_PARKED, 0, 1, 0), waiting(0, 0)],
        {"running": 0, "queued": 0, "remaining": 1},
    ),
    (
        "a job is queued again after its first start",
        [sent(0), begun(0, 1), finished(0, 1.0), waiting(0, 0), waiting(0, 1)],
        {"running": 0, "queued": 1, "remaining": 1},
    ),
    (
        "a job waits without a message",
        [sent(0), queued(0), event(kinds.STEP_PARKED, 0, type="SEND_DICOM", reason="away")],
        {"queued": 0, "running": 0, "remaining": 1},
    ),
    (
        "a job that is to be tried again",
        [sent(0), queued(0), started(0, "a"), event(kinds.STEP_RETRIED, 0, type="SEND_DICOM"), finished(0, 1.0)],
        {"queued": 0, "running": 0, "remaining": 1, "failed": 0},
    ),
    (
        "an order whose dead letter is tried again",
        [
            *(sent(0), queued(0), started(0, "a"), finished(0, 1.0), event(kinds.ORDER_FAILED, 0)),
            *(event(kinds.STEP_REOPENED, 0, type="SEND_DICOM"), event(kinds.ORDER_REOPENED, 0)),
        ],
        {"failed": 0, "remaining": 1, "running": 0},
    ),
    ("the run's own events count nothing", [event(kinds.RUN_STATE, None, state="RUNNING")], {"emitted": 0}),
]


@pytest.mark.parametrize(("events", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_progress(events: list[Event], wanted: dict[str, Any]) -> None:
    fold = ProgressFold(requested=10)
    for each in events:
        fold.apply(each)
    assert {name: getattr(fold, name) for name in wanted} == wanted
    assert fold.requested == 10


def test_a_live_client_is_told_of_the_queue_and_its_workers() -> None:
    fold = ProgressFold(requested=10)
    for each in (*map(sent, range(4)), *map(queued, range(4)), started(0, "a"), started(1, "b"), started(2, "b")):
        fold.apply(each)
    fold.apply(finished(0, 1.5))
    told = progress_message("run", fold)
    wanted = {"jobs_queued": 1, "jobs_running": 2, "active_workers": 1, "mean_processing_seconds": 1.5}
    assert {name: told[name] for name in wanted} == wanted
    assert told["remaining_queue_depth"] == fold.remaining == 2  # order 0 has jobs to come
