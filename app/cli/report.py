"""The result of a run: the verdict first, then what speaks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.cli.backend import Backend, Document
from app.cli.exit_codes import ERROR, INTERRUPTED, PASS, THRESHOLDS_NOT_MET
from app.cli.output import printable, write, write_table
from app.domain.run import OrderState, RunState, Verdict

SHOWN = 20  # findings and failed orders that are named
FINDING_COLUMNS = (
    ("accession", "ACCESSION"),
    ("order_number", "ORDER"),
    ("kind", "KIND"),
    ("source", "SOURCE"),
    ("detail", "DETAIL"),
)
_STYLES = {"PASS": "bold green", "INCONCLUSIVE": "bold yellow", "CANCELLED": "bold yellow"}
_RECONCILIATION = ("expected", "checked", "unverifiable", "missing", "duplicated", "mismatched")
_LATENCY = ("stage", "min", "mean", "p50", "p95", "p99", "max")


def exit_code(run: Document) -> int:
    """The exit code for a run that has ended: a run that FAILED says nothing about thresholds."""
    if run["state"] == RunState.FAILED:
        return ERROR
    if run["state"] == RunState.CANCELLED:
        return INTERRUPTED
    return THRESHOLDS_NOT_MET if run["verdict"] == Verdict.FAIL else PASS


def write_result(backend: Backend, run: Document, summary: Document) -> None:
    """Everything a person wants to know of a run that has ended."""
    _write_verdict(run, summary)
    if run["state"] == RunState.FAILED and not summary["orders"]["emitted"]:
        return
    if summary["reconciliation"]:
        _write_reconciliation(summary["reconciliation"])
    _write_thresholds(summary["thresholds"])
    _write_findings(backend, run)
    _write_failed_orders(backend, run, summary)
    write_figures(summary)


def headline(run: Document) -> str:
    """PASS, FAIL, INCONCLUSIVE, FAILED or CANCELLED: what the run came to in one word."""
    if run["state"] in (RunState.FAILED, RunState.CANCELLED):
        return str(run["state"])
    return str(run["verdict"]).upper()


def _write_verdict(run: Document, summary: Document) -> None:
    word = headline(run)
    orders = summary["orders"]
    write(
        f"{word}  run {run['run_key']}  {run['template_name']}  {orders['completed']} of {orders['requested']} orders "
        f"completed in {summary['wall_seconds']:.1f} s  (seed {run['seed']})",
        style=_STYLES.get(word, "bold red"),
    )
    if run["reason"]:
        write(f"  {run['reason']}")
    _write_limit(summary)
    reconciliation = summary["reconciliation"] or {}  # none where the run was cut short
    if reconciliation.get("unverifiable"):
        count = reconciliation["unverifiable"]
        write(f"  {count} orders could not be verified: nobody says that they arrived once and whole", "bold yellow")
    for text in reconciliation.get("notes", ()):
        write(f"  {text}")


def _write_limit(summary: Document) -> None:
    """Who held the load back; nothing where nobody did."""
    load = summary.get("load") or {}  # none in a summary of an older version
    if load.get("limited_by", "nothing") != "nothing":
        write(f"  {load['limited_by']} limited: {load['reason']}", "bold yellow")


def _write_reconciliation(reconciliation: Document) -> None:
    _heading(f"Reconciliation ({reconciliation['method']})")
    write_table([reconciliation], [(name, name.upper()) for name in _RECONCILIATION], indent=2)


def _write_thresholds(thresholds: list[Document]) -> None:
    missed = [threshold for threshold in thresholds if not threshold["met"]]
    if not missed:
        return
    _heading("Thresholds not met")
    for threshold in missed:
        value = "has no value" if threshold["value"] is None else f"is {threshold['value']:g}"
        write(f"  {threshold['expression']}  {value}")


def _write_findings(backend: Backend, run: Document) -> None:
    findings = backend.findings(run["id"], SHOWN + 1)
    if not findings:
        return
    _heading("Findings")
    write_table(findings[:SHOWN], FINDING_COLUMNS, indent=2)
    if len(findings) > SHOWN:
        write(f"  and more: yeeter runs findings {run['run_key']}")


def _write_failed_orders(backend: Backend, run: Document, summary: Document) -> None:
    count = summary["orders"]["failed"]
    if not count:
        return
    _heading("Failed orders")
    failed = backend.orders(run["id"], OrderState.FAILED, None, SHOWN)
    write_table(failed, (("accession", "ACCESSION"), ("number", "ORDER"), ("reason", "REASON")), indent=2)
    if count > SHOWN:
        write(f"  and {count - SHOWN} more: yeeter orders list {run['run_key']} --state FAILED")


def write_figures(summary: Document) -> None:
    """Key figures of a summary, complete or so far."""
    _heading("Figures")
    for group in ("orders", "hl7", "dicom", "jobs", "rates"):
        values = (f"{printable(value)} {name.replace('_', ' ')}" for name, value in summary[group].items())
        write(f"  {group:<7} {', '.join(values)}")
    if load := summary.get("load"):
        write(f"  {'load':<7} {', '.join(_load(load))}")
    stages = [{"stage": stage} | _seconds(figures) for stage, figures in summary["latency_seconds"].items() if figures]
    if stages:
        _heading("Latency")
        write_table(stages, [(name, name.upper()) for name in _LATENCY], indent=2)


def _load(load: Document) -> Iterator[str]:
    """What was asked for and what came of it; what is not known, or means nothing to the model, is left out."""
    yield f"{load['model']} arrival"
    if load["target_rate"] is not None:
        yield f"{load['target_rate']:g} orders per second asked for"
    if load["offered"] is not None:
        yield f"{load['offered']} offered"
    if load["late"] is not None:
        yield f"{load['late']} late"
    if load["generator_cpu"] is not None:
        yield f"{load['generator_cpu']:.0%} of a core for the producer"
    yield f"limited by {load['limited_by']}"


def _seconds(figures: dict[str, float]) -> dict[str, Any]:
    return {name: f"{value * 1000:.1f} ms" if value < 1 else f"{value:.2f} s" for name, value in figures.items()}


def _heading(text: str) -> None:
    write()
    write(text, style="bold")
