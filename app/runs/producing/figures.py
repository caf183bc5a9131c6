"""The figures of a run that has ended, as one log line."""

from __future__ import annotations

from typing import Any

import structlog

from app.domain.run import Run

log = structlog.get_logger()


def tell_figures(run: Run) -> None:
    """Log the main figures; a run without a summary has none."""
    if run.summary is not None:
        log.info("figures", of="run", run_id=run.id, run_key=run.run_key, **_figures(run.summary))


def _figures(summary: dict[str, Any]) -> dict[str, Any]:
    orders, jobs, latency = summary["orders"], summary["jobs"], summary["latency_seconds"]
    return {
        "state": summary["status"],
        "verdict": summary["verdict"],
        "seconds": summary["wall_seconds"],
        **{f"orders_{name}": orders[name] for name in ("requested", "completed", "failed", "cancelled")},
        **{f"jobs_{name}": jobs[name] for name in ("succeeded", "retried", "dead_lettered")},
        "instances_stored": summary["dicom"]["instances_stored"],
        **summary["rates"],
        "mean_job_seconds": latency["job_run"].get("mean"),
        **{f"p95_{stage}_seconds": latency[stage].get("p95") for stage in ("hl7_ack", "job_wait", "c_store")},
    }
