"""The verdict over a summary: what fails it, and what only keeps it from a pass."""

from __future__ import annotations

import pytest

from app.domain.run import Verdict
from app.runs.reading.summary import judge

WHOLE = {
    "orders": {"completed": 10, "failed": 0, "cancelled": 0},
    "reconciliation": dict.fromkeys(("missing", "duplicated", "mismatched", "unverifiable"), 0)
    | {"expected": 10, "checked": 10},
    "latency_seconds": {"hl7_ack": {"p95": 0.1}},
}


@pytest.mark.parametrize(
    ("section", "figures", "verdict"),
    [
        ("orders", {}, Verdict.PASS),
        ("orders", {"failed": 1}, Verdict.FAIL),
        ("orders", {"cancelled": 1}, Verdict.INCONCLUSIVE),
        ("orders", {"completed": 0}, Verdict.INCONCLUSIVE),
        ("reconciliation", {"missing": 1}, Verdict.FAIL),
        ("reconciliation", {"duplicated": 1}, Verdict.FAIL),
        ("reconciliation", {"mismatched": 1}, Verdict.FAIL),
        ("reconciliation", {"checked": 9}, Verdict.FAIL),
        ("reconciliation", {"checked": 9, "unverifiable": 1}, Verdict.INCONCLUSIVE),
    ],
)
def test_the_standing_thresholds(section: str, figures: dict[str, int], verdict: Verdict) -> None:
    assert judge({**WHOLE, section: {**WHOLE[section], **figures}}, ())[0] is verdict


def test_own_thresholds_come_on_top() -> None:
    verdict, results = judge(WHOLE, ("hl7_ack.p95 < 50ms",))
    assert verdict is Verdict.FAIL
    assert [result.expression for result in results if not result.met] == ["hl7_ack.p95 < 50ms"]
