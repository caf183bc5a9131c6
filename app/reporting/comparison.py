"""Two runs beside each other: which figures changed, by how much, and whether that is for the better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from app.domain.threshold import flat_figures
from app.reporting.charts import Chart, Series
from app.reporting.documents import Document, RunDocuments
from app.reporting.numbers import count_text, seconds_text
from app.reporting.render import render

SAME = 0.05  # a change that is no larger may be chance

Effect = Literal["better", "worse", "same", "different"]

_MORE_IS_BETTER = ("rates.",)
_LESS_IS_BETTER = (
    "latency_seconds.",
    "wall_seconds",
    "orders.failed",
    "orders.not_emitted",
    "hl7.errors",
    "hl7.rejected",
    "hl7.timeouts",
    "hl7.resent",
    "hl7.possibly_duplicated",
    "dicom.failed",
    "dicom.warnings",
    "jobs.retried",
    "jobs.dead_lettered",
    "reconciliation.missing",
    "reconciliation.duplicated",
    "reconciliation.mismatched",
    "reconciliation.unverifiable",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure of two runs; ``change`` as a share of the first one, None where that is 0 or one does not have it."""

    figure: str
    before: float | None
    after: float | None
    change: float | None
    effect: Effect


def compare_runs(before: RunDocuments, after: RunDocuments) -> Document:
    """As JSON has it: the two runs, and every figure that either of them has."""
    return {
        "before": _heading(before),
        "after": _heading(after),
        "settings": list(_settings(before.run["document"], after.run["document"])),
        "figures": [asdict(difference) for difference in differences(before.summary, after.summary)],
    }


def comparison_page(before: RunDocuments, after: RunDocuments, version: str) -> str:
    """A whole HTML document."""
    comparison = compare_runs(before, after)
    charts = [chart for chart in _charts(before, after) if chart.svg()]
    return render("comparison", comparison=comparison, charts=charts, version=version)


def differences(before: Document, after: Document) -> list[Difference]:
    """In the order of a summary."""
    own, other = _figures(before), _figures(after)
    return [_difference(path, own.get(path), other.get(path)) for path in dict.fromkeys([*own, *other])]


def _figures(summary: Document) -> dict[str, float]:
    return {"wall_seconds": summary["wall_seconds"]} | flat_figures(summary)


def _difference(path: str, before: float | None, after: float | None) -> Difference:
    if before is None or after is None:
        return Difference(path, before, after, None, "different")
    change = (after - before) / before if before else None
    if before == after or (change is not None and abs(change) <= SAME and not path.startswith("reconciliation.")):
        return Difference(path, before, after, change, "same")
    grew = after > before
    if path.startswith(_MORE_IS_BETTER):
        return Difference(path, before, after, change, "better" if grew else "worse")
    if path.startswith(_LESS_IS_BETTER):
        return Difference(path, before, after, change, "worse" if grew else "better")
    return Difference(path, before, after, change, "different")


def _heading(documents: RunDocuments) -> Document:
    run = documents.run
    return {
        "run_id": run["id"],
        "run_key": run["run_key"],
        "template": run["template_name"],
        "headline": documents.headline,
        "orders": run["requested"],
        "seed": run["seed"],
        "created_at": run["created_at"],
    }


def _settings(before: Document, after: Document, path: str = "") -> Iterator[Document]:
    """Where the templates, as they were resolved, differ."""
    for name in dict.fromkeys([*before, *after]):
        own, other = before.get(name), after.get(name)
        if isinstance(own, dict) and isinstance(other, dict):
            yield from _settings(own, other, f"{path}{name}.")
        elif own != other:
            yield {"setting": f"{path}{name}", "before": own, "after": other}


def _charts(before: RunDocuments, after: RunDocuments) -> Iterator[Chart]:
    runs = (before, after)
    yield Chart("Orders completed a second", [_rate(each) for each in runs], seconds_text, count_text)
    yield Chart("Acknowledgement of orders, p95", [_p95(each, "hl7_ack") for each in runs], seconds_text, seconds_text)
    stored = [_p95(each, "order_to_stored") for each in runs]
    yield Chart("Order to stored study, p95", stored, seconds_text, seconds_text)
    yield Chart("Jobs that wait", [_queued(each) for each in runs], seconds_text, count_text)


def _rate(documents: RunDocuments) -> Series:
    points = [(_end(each), each["completed"] / each["seconds"]) for each in _intervals(documents)]
    return Series(documents.run["run_key"], points)


def _queued(documents: RunDocuments) -> Series:
    return Series(documents.run["run_key"], [(_end(each), each["queued"]) for each in _intervals(documents)])


def _p95(documents: RunDocuments, stage: str) -> Series:
    told = [each for each in _intervals(documents) if stage in each["latency"]]
    return Series(documents.run["run_key"], [(_end(each), each["latency"][stage]["p95"]) for each in told])


def _intervals(documents: RunDocuments) -> Sequence[Document]:
    return list(documents.metrics["intervals"])


def _end(interval: Document) -> float:
    return float(interval["begins"] + interval["seconds"])
