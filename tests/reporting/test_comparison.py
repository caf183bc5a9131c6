"""Comparing two runs: what changed, and whether that is for the better."""

from __future__ import annotations

from typing import Any

import pytest

from app.reporting.comparison import Difference, compare_runs, differences
from tests.reporting.samples import sample


def summary(path: str, value: float | None) -> dict[str, Any]:
    document: dict[str, Any] = {"wall_seconds": 1.0}
    if value is None:
        return document
    if path == "wall_seconds":
        return {"wall_seconds": value}
    section, *rest = path.split(".")
    inner: Any = value
    for name in reversed(rest):
        inner = {name: inner}
    return document | {section: inner}


@pytest.mark.parametrize(
    ("path", "before", "after", "effect"),
    [
        ("rates.orders_per_second", 100, 120, "better"),
        ("rates.orders_per_second", 100, 80, "worse"),
        ("rates.orders_per_second", 100, 104, "same"),
        ("latency_seconds.hl7_ack.p95", 0.1, 0.2, "worse"),
        ("latency_seconds.hl7_ack.p95", 0.2, 0.1, "better"),
        ("orders.failed", 0, 1, "worse"),
        ("orders.requested", 10, 100, "different"),
        ("reconciliation.missing", 1000, 1001, "worse"),  # one lost study is no chance
        ("reconciliation.missing", 0, 0, "same"),
        ("latency_seconds.c_store.p99", None, 0.1, "different"),
        ("wall_seconds", 10, 5, "better"),
    ],
)
def test_the_effect_of_a_change(path: str, before: float | None, after: float | None, effect: str) -> None:
    found = {each.figure: each for each in differences(summary(path, before), summary(path, after))}
    assert found[path].effect == effect


def test_a_change_is_a_share_of_what_it_was() -> None:
    [_, rate] = differences(summary("rates.orders_per_second", 80), summary("rates.orders_per_second", 100))
    assert rate == Difference("rates.orders_per_second", 80, 100, 0.25, "better")
    [_, failed] = differences(summary("orders.failed", 0), summary("orders.failed", 3))
    assert failed.change is None


def test_settings_that_differ_are_named_by_their_paths() -> None:
    before = sample()
    after = sample(document={"name": "ct-chest", "arrival": {"model": "constant", "rate": 5}, "steps": []})
    assert compare_runs(before, after)["settings"] == [
        {"setting": "arrival.model", "before": "closed", "after": "constant"},
        {"setting": "arrival.rate", "before": None, "after": 5},
    ]


def test_a_run_compared_with_itself_is_the_same() -> None:
    comparison = compare_runs(sample(), sample())
    assert {figure["effect"] for figure in comparison["figures"]} == {"same"}
    assert comparison["settings"] == []
