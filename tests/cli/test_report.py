"""What is told of a run that has ended, and its exit code."""

from __future__ import annotations

from typing import Any

import pytest

from app.cli.report import exit_code, headline, write_result

RUN = {"id": "1", "run_key": "K", "template_name": "t", "seed": 1, "reason": "", "state": "COMPLETED"}


@pytest.mark.parametrize(
    ("state", "verdict", "code", "word"),
    [
        ("COMPLETED", "pass", 0, "PASS"),
        ("COMPLETED", "inconclusive", 0, "INCONCLUSIVE"),
        ("COMPLETED", "fail", 99, "FAIL"),
        ("COMPLETED_WITH_ERRORS", "fail", 99, "FAIL"),
        ("FAILED", "fail", 1, "FAILED"),
        ("FAILED", None, 1, "FAILED"),
        ("CANCELLED", "pass", 130, "CANCELLED"),
        ("CANCELLED", "fail", 130, "CANCELLED"),
    ],
)
def test_exit_codes(state: str, verdict: str | None, code: int, word: str) -> None:
    run = {"state": state, "verdict": verdict}
    assert (exit_code(run), headline(run)) == (code, word)


def summary(**changes: Any) -> dict[str, Any]:
    orders = dict.fromkeys(("requested", "emitted", "acknowledged", "completed"), 50) | {"failed": 0}
    checked = {"method": "none", "expected": 50, "checked": 50, "unverifiable": 0, "missing": 0}
    return {
        "wall_seconds": 1.0,
        "orders": orders,
        **{group: {} for group in ("hl7", "dicom", "jobs", "rates", "latency_seconds")},
        "reconciliation": checked | {"duplicated": 0, "mismatched": 0, "notes": []},
        "thresholds": [],
    } | changes


class Findings:
    """A backend that knows of wrong and failed orders."""

    def __init__(self, findings: int = 0, failed: int = 0) -> None:
        self._findings = [finding(number) for number in range(findings)]
        self._failed = [{"accession": f"F{n}", "number": n, "reason": "SEND_DICOM: refused"} for n in range(failed)]

    def findings(self, name: str, limit: int) -> list[dict[str, Any]]:
        return self._findings[:limit]

    def orders(self, name: str, state: str, search: None, limit: int) -> list[dict[str, Any]]:
        return self._failed[:limit]


def finding(number: int) -> dict[str, Any]:
    return {"accession": f"A{number}", "order_number": number, "kind": "missing", "source": "hl7", "detail": "gone"}


def test_the_first_twenty_orders_are_named_and_where_the_rest_is(capsys: pytest.CaptureFixture[str]) -> None:
    figures = summary(
        orders=summary()["orders"] | {"failed": 25},
        thresholds=[
            {"expression": "orders.failed == 0", "value": 25.0, "met": False},
            {"expression": "c_store.p95 < 1s", "value": None, "met": False},
            {"expression": "reconciliation.missing == 0", "value": 0.0, "met": True},
        ],
    )
    write_result(Findings(findings=30, failed=25), RUN | {"verdict": "fail"}, figures)  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "FAIL  run K  t  50 of 50 orders completed in 1.0 s  (seed 1)"
    assert "  orders.failed == 0  is 25" in lines
    assert "  c_store.p95 < 1s  has no value" in lines
    assert not any("missing == 0" in line for line in lines)
    assert len([line for line in lines if " missing  hl7 " in line]) == 20
    assert "  and more: yeeter runs findings K" in lines
    assert len([line for line in lines if "SEND_DICOM: refused" in line]) == 20
    assert "  and 5 more: yeeter orders list K --state FAILED" in lines


LOAD = {"model": "constant", "target_rate": 50.0, "offered": 50, "late": 20, "generator_cpu": 0.314}


@pytest.mark.parametrize("who", ["system", "generator"])
def test_who_limited_the_load_comes_right_after_the_verdict(who: str, capsys: pytest.CaptureFixture[str]) -> None:
    load = LOAD | {"limited_by": who, "reason": "20 of 50 orders started more than 50 ms after they were due"}
    write_result(Findings(), RUN | {"verdict": "pass"}, summary(load=load))  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"  {who} limited: 20 of 50 orders started more than 50 ms after they were due"
    figures = "constant arrival, 50 orders per second asked for, 50 offered, 20 late, 31% of a core for the producer"
    assert f"  load    {figures}, limited by {who}" in lines


def test_of_a_closed_model_that_nobody_limited_there_is_little_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    load = dict.fromkeys(LOAD) | {"model": "closed", "limited_by": "nothing", "reason": "neither was the slower one"}
    write_result(Findings(), RUN | {"verdict": "pass"}, summary(load=load))  # type: ignore[arg-type]
    out = capsys.readouterr().out
    assert "  load    closed arrival, limited by nothing" in out.splitlines()
    assert "limited:" not in out


def test_what_could_not_be_verified_comes_right_after_the_verdict(capsys: pytest.CaptureFixture[str]) -> None:
    notes = ["archive A@b:1 can't be asked what it has: it offers no query"]
    reconciliation = summary()["reconciliation"] | {"unverifiable": 50, "checked": 0, "notes": notes}
    write_result(Findings(), RUN | {"verdict": "inconclusive"}, summary(reconciliation=reconciliation))  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines()[1:3] == [
        "  50 orders could not be verified: nobody says that they arrived once and whole",
        f"  {notes[0]}",
    ]


def test_a_run_that_was_cut_short_has_no_reconciliation(capsys: pytest.CaptureFixture[str]) -> None:
    run = RUN | {"verdict": None, "state": "FAILED", "reason": "its producer was ended by signal 9"}
    write_result(Findings(), run, summary(reconciliation=None))  # type: ignore[arg-type]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAILED  run K")
    assert lines[1] == "  its producer was ended by signal 9"
