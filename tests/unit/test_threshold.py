"""Thresholds: expressions over a run's summary."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.threshold import STANDING_THRESHOLDS, evaluate, parse_threshold

SUMMARY: dict[str, Any] = {
    "orders": {"failed": 0, "completed": 10},
    "reconciliation": {"checked": 7, "unverifiable": 3, "expected": 10, "missing": 0, "duplicated": 0, "mismatched": 0},
    "latency_seconds": {"hl7_ack": {"p95": 0.15}},
    "rates": {"orders_per_second": 99.5},
}


@pytest.mark.parametrize(
    ("expression", "met"),
    [
        ("orders.failed == 0", True),
        ("orders.failed != 0", False),
        ("hl7_ack.p95 < 200ms", True),
        ("hl7_ack.p95 < 0.1s", False),
        ("latency_seconds.hl7_ack.p95<=150ms", True),
        ("rates.orders_per_second >= 100", False),
        ("rates.orders_per_second > 1m", True),
        ("orders.completed >= 50%", True),
        ("reconciliation.checked + reconciliation.unverifiable == reconciliation.expected", True),
        ("orders.completed == reconciliation.expected", True),
        ("c_store.p95 < 1s", False),  # a figure that is not there is a threshold that is not met
    ],
)
def test_a_threshold_compares_a_figure_with_its_limit(expression: str, met: bool) -> None:
    assert evaluate(parse_threshold(expression), SUMMARY).met is met


@pytest.mark.parametrize(
    "expression",
    ["", "orders", "orders.failed", "orders.failed = 0", "orders.failed == zero", "1 < 2", "a.b < 3 parsecs"],
)
def test_what_is_no_threshold_is_refused_with_an_example(expression: str) -> None:
    with pytest.raises(ValueError, match="write for example"):
        parse_threshold(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("orders.bogus == 0", "no figure orders.bogus; use one of orders.acknowledged"),
        ("hl7_ack.p96 < 1s", "no figure hl7_ack.p96; use one of hl7_ack.max"),
        ("nothing.p95 < 1s", "no figure nothing.p95; use one of"),
        ("orders.completed == reconciliation.bogus", "no figure reconciliation.bogus"),
    ],
)
def test_a_figure_that_no_summary_has_is_refused_with_those_there_are(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_threshold(expression)


def test_the_standing_thresholds_hold_for_a_clean_run() -> None:
    assert all(evaluate(parse_threshold(expression), SUMMARY).met for expression in STANDING_THRESHOLDS)


@pytest.mark.parametrize("figure", ["missing", "duplicated", "mismatched"])
def test_every_kind_of_finding_breaks_a_standing_threshold(figure: str) -> None:
    summary = SUMMARY | {"reconciliation": SUMMARY["reconciliation"] | {figure: 1}}
    results = [evaluate(parse_threshold(expression), summary) for expression in STANDING_THRESHOLDS]
    assert [result.expression for result in results if not result.met] == [f"reconciliation.{figure} == 0"]


@given(st.text(max_size=40))
def test_parsing_any_text_ends_in_a_threshold_or_a_value_error(text: str) -> None:
    try:
        parse_threshold(text)
    except ValueError as error:
        assert "write for example" in str(error) or "no figure" in str(error)
