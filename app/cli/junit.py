"""A run as a JUnit file, which CI systems show: a test case for the run's end, and one for each threshold."""

from __future__ import annotations

import re
from datetime import datetime
from xml.etree import ElementTree as Xml

from app.cli.backend import Document
from app.domain.run import RunState

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # by XML 1.0, even as references


def junit(run: Document, summary: Document) -> str:
    """The file's text: one suite for a run that has ended.

    FAILED is an error and CANCELLED a skipped test of the run itself; a threshold that is not met is a failure.
    """
    root = Xml.Element("testsuites")
    suite = Xml.SubElement(root, "testsuite", _clean({"name": f"yeeter.{run['template_name']}"}))
    properties = Xml.SubElement(suite, "properties")
    for name, value in _properties(run).items():
        Xml.SubElement(properties, "property", _clean({"name": name, "value": value}))
    _add_end(suite, run, summary)
    for threshold in summary["thresholds"]:
        _add_threshold(suite, threshold)
    counts = {
        "tests": len(suite.findall("testcase")),
        "failures": len(suite.findall("testcase/failure")),
        "errors": len(suite.findall("testcase/error")),
        "skipped": len(suite.findall("testcase/skipped")),
        "time": f"{summary['wall_seconds']:.3f}",
    }
    root.attrib.update(_clean(counts))
    suite.attrib.update(_clean(counts | {"timestamp": _timestamp(run)}))
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _properties(run: Document) -> Document:
    return {
        "run_id": run["id"],
        "run_key": run["run_key"],
        "seed": run["seed"],
        "template": run["template_name"],
        "state": run["state"],
        "verdict": run["verdict"] or "",
    }


def _add_end(suite: Xml.Element, run: Document, summary: Document) -> None:
    """The run itself: whatever kept it from being judged."""
    case = _add_case(suite, "run", "the run comes to its end", f"{summary['wall_seconds']:.3f}")
    said = {"message": f"{run['state']}: {run['reason']}" if run["reason"] else run["state"]}
    if run["state"] == RunState.FAILED:
        Xml.SubElement(case, "error", _clean(said | {"type": run["state"]}))
    elif run["state"] == RunState.CANCELLED:
        Xml.SubElement(case, "skipped", _clean(said))


def _add_threshold(suite: Xml.Element, threshold: Document) -> None:
    expression, value = threshold["expression"], threshold["value"]
    case = _add_case(suite, "threshold", expression, "0")
    if not threshold["met"]:
        message = f"{expression}: {'it has no value' if value is None else f'it is {value:g}'}"
        failure = Xml.SubElement(case, "failure", _clean({"message": message, "type": "threshold"}))
        failure.text = _text(message)


def _add_case(suite: Xml.Element, kind: str, name: str, seconds: str) -> Xml.Element:
    return Xml.SubElement(
        suite, "testcase", _clean({"classname": f"{suite.attrib['name']}.{kind}", "name": name, "time": seconds})
    )


def _timestamp(run: Document) -> str:
    """When the run was begun, in UTC; JUnit's schema has neither zone nor fractions."""
    moment = datetime.fromisoformat(run["started_at"] or run["created_at"])
    return moment.replace(microsecond=0, tzinfo=None).isoformat()


def _clean(attributes: Document) -> dict[str, str]:
    return {name: _text(value) for name, value in attributes.items()}


def _text(value: object) -> str:
    return _FORBIDDEN.sub("\ufffd", str(value))
