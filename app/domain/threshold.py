"""Thresholds: comparisons of a summary's figure with a limit, ``hl7_ack.p95 < 200ms``.

expression := path operator limit
path       := dotted keys of the run's summary; ``latency_seconds.`` may be left out
operator   := < <= > >= == !=
limit      := number, optionally ``%``, ``ms``, ``s``, ``m`` or ``h``;  or a sum of paths
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

STANDING_THRESHOLDS = (
    "orders.failed == 0",
    "reconciliation.missing == 0",
    "reconciliation.duplicated == 0",
    "reconciliation.mismatched == 0",
    "reconciliation.checked + reconciliation.unverifiable == reconciliation.expected",
)

STAGES = ("schedule_slip", "hl7_ack", "publish", "job_wait", "job_run", "c_store", "order_to_stored")
_LATENCY = "latency_seconds"
_STATISTICS = ("min", "mean", "p50", "p90", "p95", "p99", "max")
_SECTIONS = {
    "orders": ("requested", "emitted", "acknowledged", "completed", "failed", "cancelled", "not_emitted"),
    "hl7": ("sent", "accepted", "errors", "rejected", "timeouts", "resent", "possibly_duplicated"),
    "dicom": ("studies_generated", "instances_generated", "instances_stored", "bytes_stored", "warnings", "failed"),
    "jobs": ("published", "succeeded", "retried", "dead_lettered"),
    "reconciliation": ("expected", "checked", "unverifiable", "missing", "duplicated", "mismatched"),
    "load": ("target_rate", "offered", "late", "slip_p95", "generator_cpu"),
    "rates": ("orders_per_second", "instances_per_second", "bytes_per_second"),
}
# Every figure of a summary, by its path; a test holds them against a summary.
SUMMARY_FIGURES = (
    *(f"{section}.{name}" for section, names in _SECTIONS.items() for name in names),
    *(f"{_LATENCY}.{stage}.{name}" for stage in STAGES for name in _STATISTICS),
)
# What a threshold may name.
FIGURES = frozenset([*SUMMARY_FIGURES, *(path.removeprefix(f"{_LATENCY}.") for path in SUMMARY_FIGURES)])

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_UNITS = {"": 1.0, "%": 0.01, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PATH = r"[a-z_][a-z0-9_]*(?:\.[a-z0-9_]+)+"
_EXPRESSION = re.compile(
    rf"\s*(?P<left>{_PATH}(?:\s*\+\s*{_PATH})*)\s*(?P<operator><=|>=|==|!=|<|>)\s*"
    rf"(?:(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>%|ms|s|m|h)?|(?P<right>{_PATH}))\s*"
)


@dataclass(frozen=True, slots=True)
class Threshold:
    expression: str
    left: tuple[str, ...]  # paths to add up
    operator: str
    limit: float | str  # a figure, or a path


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    expression: str
    value: float | None  # None: the summary has no such figure
    met: bool


def parse_threshold(expression: str) -> Threshold:
    """Parse one expression.

    Raises:
        ValueError: with what is wrong and an example.
    """
    match = _EXPRESSION.fullmatch(expression)
    if match is None:
        raise ValueError(f"{expression!r} is not a threshold; write for example hl7_ack.p95 < 200ms")
    limit: float | str = match["right"] or float(match["number"]) * _UNITS[match["unit"] or ""]
    left = tuple(path.strip() for path in match["left"].split("+"))
    for path in (*left, *([limit] if isinstance(limit, str) else [])):
        if path not in FIGURES:
            raise ValueError(f"a summary has no figure {path}; {_like(path)}")
    return Threshold(" ".join(expression.split()), left, match["operator"], limit)


def _like(path: str) -> str:
    near = [figure for figure in sorted(FIGURES) if figure.partition(".")[0] == path.partition(".")[0]]
    return f"use one of {', '.join(near or sorted({figure.rpartition('.')[0] for figure in FIGURES}))}"


def evaluate(threshold: Threshold, summary: Mapping[str, Any]) -> ThresholdResult:
    """Compare; a figure that the summary does not have is a threshold that is not met."""
    values = [_look_up(summary, path) for path in threshold.left]
    limit = _look_up(summary, threshold.limit) if isinstance(threshold.limit, str) else threshold.limit
    if limit is None or any(value is None for value in values):
        return ThresholdResult(threshold.expression, None, met=False)
    value = sum(value for value in values if value is not None)
    return ThresholdResult(threshold.expression, value, met=_OPERATORS[threshold.operator](value, limit))


def flat_figures(summary: Mapping[str, Any]) -> dict[str, float]:
    """A summary's figures by their paths; those that it does not have are left out."""
    found = {path: _look_up(summary, path) for path in SUMMARY_FIGURES}
    return {path: value for path, value in found.items() if value is not None}


def _look_up(summary: Mapping[str, Any], path: str) -> float | None:
    for root in (summary, summary.get(_LATENCY, {})):
        value: Any = root
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
    return None
