"""A run as a JUnit file: what a CI system counts, and shows."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from app.cli.junit import junit

RUN = {
    "id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "run_key": "7K3QX0AB",
    "seed": 7,
    "template_name": "ct-chest",
    "state": "COMPLETED",
    "verdict": "pass",
    "reason": "",
    "created_at": "2026-03-01T07:59:59.123456Z",
    "started_at": "2026-03-01T08:00:00.654321Z",
}
MET = {"expression": "orders.failed == 0", "value": 0.0, "met": True}
MISSED = {"expression": "hl7_ack.p95 < 200ms", "value": 0.25, "met": False}
UNKNOWN = {"expression": "c_store.p99 < 1s", "value": None, "met": False}


def suite(*thresholds: dict[str, Any], **run: Any) -> ElementTree.Element:
    """The suite as a CI system reads it."""
    text = junit(RUN | run, {"wall_seconds": 12.3456, "thresholds": list(thresholds)})
    found = ElementTree.fromstring(text.encode()).find("testsuite")
    assert found is not None
    return found


def counts(element: ElementTree.Element) -> tuple[int, ...]:
    return tuple(int(element.attrib[name]) for name in ("tests", "failures", "errors", "skipped"))


def test_a_run_that_passed_has_a_test_for_itself_and_one_for_each_threshold() -> None:
    found = suite(MET)
    assert counts(found) == (2, 0, 0, 0)
    assert (found.attrib["name"], found.attrib["time"]) == ("yeeter.ct-chest", "12.346")
    assert found.attrib["timestamp"] == "2026-03-01T08:00:00"
    assert [case.attrib for case in found.findall("testcase")] == [
        {"classname": "yeeter.ct-chest.run", "name": "the run comes to its end", "time": "12.346"},
        {"classname": "yeeter.ct-chest.threshold", "name": "orders.failed == 0", "time": "0"},
    ]


def test_a_threshold_that_is_not_met_is_a_failure_with_its_value() -> None:
    found = suite(MET, MISSED, UNKNOWN, verdict="fail")
    assert counts(found) == (4, 2, 0, 0)
    assert [failure.attrib["message"] for failure in found.findall("testcase/failure")] == [
        "hl7_ack.p95 < 200ms: it is 0.25",
        "c_store.p99 < 1s: it has no value",
    ]


def test_a_run_that_failed_is_an_error_with_its_reason() -> None:
    found = suite(state="FAILED", verdict=None, reason="nobody answers", started_at=None)
    assert counts(found) == (1, 0, 1, 0)
    error = found.find("testcase/error")
    assert error is not None and error.attrib["message"] == "FAILED: nobody answers"
    assert found.attrib["timestamp"] == "2026-03-01T07:59:59"
    assert ("verdict", "") in [(each.attrib["name"], each.attrib["value"]) for each in found.iter("property")]


def test_a_run_that_was_cancelled_is_skipped() -> None:
    found = suite(MET, state="CANCELLED", verdict="inconclusive")
    assert counts(found) == (2, 0, 0, 1)


@pytest.mark.parametrize("text", ["\x00\x0b\x1b[31m", "\ud800", "\ufffe", "<&\"'>\n\t", "\U0001f4a9"])
def test_whatever_a_peer_said_the_file_is_xml(text: str) -> None:
    error = suite(state="FAILED", reason=f"it said {text}!").find("testcase/error")
    assert error is not None
    message = error.attrib["message"]
    assert message.startswith("FAILED: it said ") and message.endswith("!")
    assert "\x1b" not in message and "\ud800" not in message
