"""The end of a run: its summary and verdict, written together with its last state."""

from __future__ import annotations

from app.domain.run import OrderState, Run, RunState
from app.domain.template import Template
from app.ports import UnitOfWork
from app.runs.control import CANCELLED_ON_REQUEST
from app.runs.producing.reconcile import Reconciliation
from app.runs.reading.folds import Folds
from app.runs.reading.summary import judge
from app.util.machine import describe_machine

HEAD_START = 10.0  # seconds in which a run's own producer tells the webhook, if it lives


def end_run(work: UnitOfWork, run_id: str, template: Template, folds: Folds, reconciliation: Reconciliation) -> Run:
    """End the run as its rows have it; one that has ended (by a commit whose answer was lost) stays as it is."""
    run = work.runs.get(run_id, lock=True)
    if run.state.is_terminal:
        return run
    end, reason = _end_state(run, work.orders.counts(run.id), folds.summary.load.is_over)
    return _end(work, run, template.thresholds, folds, reconciliation, end, reason)


def fail_run(
    work: UnitOfWork, run_id: str, folds: Folds, reason: str, reconciliation: Reconciliation | None = None
) -> Run:
    """End the run as FAILED; one that has ended stays as it is."""
    run = work.runs.get(run_id, lock=True)
    if run.state.is_terminal:
        return run
    return _end(work, run, (), folds, reconciliation or Reconciliation(), RunState.FAILED, reason)


def _end(
    work: UnitOfWork,
    run: Run,
    thresholds: tuple[str, ...],
    folds: Folds,
    reconciliation: Reconciliation,
    end: RunState,
    reason: str,
) -> Run:
    summary = folds.summary.summary(run, folds.summary.wall_seconds())
    summary["environment"] = describe_machine()
    summary["reconciliation"] = reconciliation.summary()
    verdict, results = judge(summary, thresholds)
    summary["thresholds"] = [
        {"expression": result.expression, "value": result.value, "met": result.met} for result in results
    ]
    summary["status"], summary["verdict"] = end.value, verdict.value
    work.runs.conclude(run.id, summary, verdict)
    work.figures.keep(run.id, run.epoch, folds.metrics())
    if run.document.get("webhook"):
        told = {name: summary[name] for name in ("run_id", "run_key", "template", "status", "verdict")}
        work.webhooks.add(run.id, run.epoch, told | {"summary": summary}, HEAD_START)
    return work.runs.move(run.id, end, reason)


def _end_state(run: Run, counts: dict[OrderState, int], duration_is_over: bool) -> tuple[RunState, str]:
    if run.state is RunState.CANCELLING:
        # Whoever cancelled it said why, in its row: a producer that took it over knows no more than that.
        by_request = run.reason == CANCELLED_ON_REQUEST
        return (RunState.CANCELLED, "") if by_request else (RunState.FAILED, run.reason)
    not_sent = run.requested - sum(counts.values())
    if not_sent and not duration_is_over:  # of a run that had been given up, and was reopened for its dead jobs
        return RunState.FAILED, f"{not_sent} orders were never sent"
    failed, cancelled = counts[OrderState.FAILED], counts[OrderState.CANCELLED]
    if not failed and not cancelled:
        return RunState.COMPLETED, ""
    text = f"{failed} orders failed; `yeeter orders list {run.run_key} --state failed` shows why"
    if not failed:  # a queue was purged
        text = f"{cancelled} orders were cancelled"
    return (RunState.COMPLETED_WITH_ERRORS if counts[OrderState.COMPLETED] else RunState.FAILED), text
