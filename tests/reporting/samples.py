"""Documents of runs, as the API has them, from runs that were folded here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.api.metric_views import run_metrics_view
from app.domain import event as kinds
from app.domain.event import Event, RecordedEvent
from app.domain.threshold import STANDING_THRESHOLDS
from app.reporting.documents import RunDocuments
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold
from tests.contract.database_fixtures import new_run

BEGIN = datetime(2026, 1, 5, 8, tzinfo=UTC)
UNSAFE = "<script>alert(1)</script> & \"quotes\" 'too'"


def sample(orders: int = 40, pace: float = 0.1, failed: int = 0, verdict: str = "pass", **run: Any) -> RunDocuments:
    """A run whose orders come at this distance in seconds; the last ``failed`` of them fail."""
    folds = Folds(ProgressFold(orders))
    for recorded in sorted(_events(orders, pace, failed), key=lambda recorded: recorded.at):
        folds.apply(recorded)
    view = {
        "id": "43f6e2c0-d963-4228-ba2b-00e73ab366e1",
        "run_key": "7NXSPGJD",
        "state": "COMPLETED",
        "verdict": verdict,
        "reason": "",
        "template_name": "ct-chest",
        "template_version": 3,
        "requested": orders,
        "seed": 7,
        "base_time": "2026-01-05T08:00:00",
        "labels": {},
        "created_at": "2026-01-05T08:00:00Z",
        "started_at": "2026-01-05T08:00:00.5Z",
        "document": {"name": "ct-chest", "arrival": {"model": "closed"}, "steps": []},
    } | run
    summary = folds.summary.summary(new_run(requested=orders), folds.summary.wall_seconds())
    summary |= {
        "reconciliation": {
            **dict.fromkeys(("unverifiable", "missing", "duplicated", "mismatched"), 0),
            "expected": orders - failed,
            "checked": orders - failed,
            "method": "c-find",
            "notes": [],
        },
        "thresholds": [
            {"expression": expression, "value": 0.0, "met": not failed or "failed" not in expression}
            for expression in STANDING_THRESHOLDS
        ],
        "environment": {"python": "3.11", "memory_gib": 16.0},
    }
    return RunDocuments(
        view,
        summary,
        run_metrics_view(folds.metrics()).model_dump(mode="json"),
        failed_orders=[_failed_order(number) for number in range(orders - failed, orders)],
    )


def _failed_order(number: int) -> dict[str, Any]:
    return {"number": number, "accession": f"7NXSPGJD{number:05}", "reason": f"0x{number:04X}: no room {UNSAFE}"}


def _events(orders: int, pace: float, failed: int) -> list[RecordedEvent]:
    events = [RecordedEvent("c", BEGIN, Event("run", kinds.RUN_STATE, data={"state": "RUNNING"}))]
    for number in range(orders):
        at = number * pace
        fails = number >= orders - failed
        sent = {"type": "GENERATE_HL7", "seconds": 0.002, "verdict": "accepted", "code": "AA", "attempts": 1}
        sent |= {"timeouts": 0, "errors": 0, "possibly_duplicated": False, "ack_seconds": 0.002 + number / 10_000}
        job = {"queue": "q", "worker": f"worker-{number % 2}", "seconds": 0.05}
        stored = {"type": "SEND_DICOM", "seconds": 0.02, "stored": 1, "bytes": 10_000, "c_store": [0.02]}
        happened: list[tuple[float, str, dict[str, Any]]] = [
            (at, kinds.STEP_SUCCEEDED, sent),
            (at + 0.01, kinds.JOB_QUEUED, {"queue": "q", "job": "j", "publish_seconds": 0.001}),
            (at + 0.05, kinds.JOB_STARTED, {"worker": job["worker"], "wait_seconds": 0.04}),
            (at + 0.1, kinds.JOB_FINISHED, job | {"outcome": "failed" if fails else "succeeded"}),
        ]
        if fails:
            happened.append((at + 0.1, kinds.ORDER_FAILED, {"seconds": 0.1, "reason": "0xA700"}))
        else:
            happened += [
                (at + 0.1, kinds.STEP_SUCCEEDED, stored),
                (at + 0.1, kinds.ORDER_COMPLETED, {"seconds": 0.1 + number / 1000}),
            ]
        events += [
            RecordedEvent("c", BEGIN + timedelta(seconds=seconds), Event("run", kind, number, 1, 1, data=data))
            for seconds, kind, data in happened
        ]
    return events
