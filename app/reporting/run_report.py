"""The report of one run: the verdict first, then what speaks for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import yaml

from app.reporting.charts import Chart, Point, Series
from app.reporting.documents import Document, RunDocuments
from app.reporting.numbers import count_text, seconds_text
from app.reporting.render import render
from app.util.latency import Latency

EXAMPLES = 3  # of each kind of error
STEPS = 60  # of a distribution's line
_VARYING = re.compile(r"[0-9A-F]{6,}|\d+(?:\.\d+)*")


@dataclass(slots=True)
class ErrorKind:
    """Failed orders whose reasons differ in numbers only."""

    text: str
    count: int = 0
    examples: list[Document] = field(default_factory=list)


def run_report(documents: RunDocuments, version: str) -> str:
    """A whole HTML document."""
    intervals = documents.metrics["intervals"]
    return render(
        "run",
        documents=documents,
        run=documents.run,
        summary=documents.summary,
        thresholds=sorted(documents.summary["thresholds"], key=lambda threshold: threshold["met"]),
        charts=[chart for chart in course_charts(intervals) if chart.svg()],
        distributions=list(distribution_charts(documents.metrics["stages"])),
        intervals=intervals,
        errors=errors_by_kind(documents.failed_orders),
        configuration=yaml.safe_dump(documents.run["document"], sort_keys=False, allow_unicode=True),
        version=version,
    )


def course_charts(intervals: Sequence[Document]) -> Iterator[Chart]:
    """What changed while the run went on."""
    yield Chart(
        "Orders a second", [_rate(intervals, "emitted"), _rate(intervals, "completed")], seconds_text, count_text
    )
    depths = [_level(intervals, "queued"), _level(intervals, "running")]
    yield Chart("Jobs that wait, and that run", depths, seconds_text, count_text)
    yield Chart("Workers that have jobs", [_level(intervals, "workers")], seconds_text, count_text)
    for stage, title in (
        ("hl7_ack", "Acknowledgement of orders"),
        ("c_store", "C-STORE of an instance"),
        ("order_to_stored", "Order to stored study"),
    ):
        percentiles = [_percentile(intervals, stage, name) for name in ("p50", "p95", "p99")]
        yield Chart(title, percentiles, seconds_text, seconds_text)
    errors = [_rate(intervals, "failed"), _rate(intervals, "retried")]
    if any(interval["failed"] or interval["retried"] for interval in intervals):
        yield Chart("Failed orders and retried steps a second", errors, seconds_text, count_text)


def distribution_charts(stages: Sequence[Document]) -> Iterator[tuple[Document, Chart]]:
    """Each stage with its latency by percentile."""
    for stage in stages:
        shares: Sequence[Point] = Latency.decode(stage["histogram"]).shares(STEPS)
        series = [Series("latency", shares)]
        chart = Chart(f"{stage['stage']} by percentile", series, _percent, seconds_text, logarithmic=True)
        yield stage, chart


def errors_by_kind(failed_orders: Sequence[Document]) -> list[ErrorKind]:
    """The most frequent first."""
    kinds: dict[str, ErrorKind] = {}
    for order in failed_orders:
        text = _VARYING.sub("…", order["reason"])
        kind = kinds.setdefault(text, ErrorKind(text))
        kind.count += 1
        if len(kind.examples) < EXAMPLES:
            kind.examples.append(order)
    return sorted(kinds.values(), key=lambda kind: -kind.count)


def _rate(intervals: Sequence[Document], name: str) -> Series:
    return Series(name, [(_end(interval), interval[name] / interval["seconds"]) for interval in intervals])


def _level(intervals: Sequence[Document], name: str) -> Series:
    return Series(name, [(_end(interval), interval[name]) for interval in intervals])


def _percentile(intervals: Sequence[Document], stage: str, name: str) -> Series:
    told = [interval for interval in intervals if stage in interval["latency"]]
    return Series(name, [(_end(interval), interval["latency"][stage][name]) for interval in told])


def _end(interval: Document) -> float:
    return float(interval["begins"] + interval["seconds"])


def _percent(value: float) -> str:
    return f"{value:g} %"
