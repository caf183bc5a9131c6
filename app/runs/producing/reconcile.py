"""Reconciliation: ask the archive and the order receiver what they have, and compare it with every order of the run."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import NotAnswerable, Unavailable
from app.domain.run import Run
from app.domain.work import Finding
from app.ports import ArchiveQuery, OrderLedger, RunQueries
from app.runs.reading.compare import RunOrders, compare_messages, compare_studies

_PAUSE = 1.0  # seconds between two questions to an archive that indexes late


@dataclass(slots=True)
class Reconciliation:
    """What was asked, and what came of it; counts are of orders."""

    method: str = "none"
    expected: int = 0
    checked: int = 0
    unverifiable: int = 0
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        by_kind: dict[str, set[str]] = defaultdict(set)
        for finding in self.findings:
            by_kind[finding.kind].add(finding.accession)
        return {
            "method": self.method,
            "expected": self.expected,
            "checked": self.checked,
            "unverifiable": self.unverifiable,
            "missing": len(by_kind["missing"]),
            "duplicated": len(by_kind["duplicated"]),
            "mismatched": len(by_kind["mismatched"]),
            "notes": self.notes,
        }


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Who can be asked, about what. ``None``: not part of this run, or known to keep no record."""

    archive: ArchiveQuery
    dicom: DicomDestination | None
    ledger: OrderLedger
    hl7: Hl7Destination | None


def reconcile(
    queries: RunQueries, run: Run, witnesses: Witnesses, within: float, go_on: Callable[[], None] = lambda: None
) -> Reconciliation:
    """Compare every completed order with what the witnesses have.

    An archive that indexes late is asked again until nothing is missing or ``within`` seconds are over. ``go_on`` is
    called before each further question, and raises what ends the asking.
    """
    orders = RunOrders(queries, run.id, run.run_key, run.requested)
    result = Reconciliation(expected=len(orders.completed))
    methods = []
    if witnesses.dicom is not None:
        dicom = witnesses.dicom
        findings = _ask(
            lambda: compare_studies(orders, witnesses.archive.studies(dicom, run.run_key, run.requested)),
            f"archive {dicom}",
            within,
            result.notes,
            go_on,
        )
        if findings is not None:
            methods.append("c-find")
            result.findings += findings
        _count(result, findings is not None)
    if witnesses.hl7 is not None:
        hl7 = witnesses.hl7
        findings = _ask(
            lambda: compare_messages(orders, witnesses.ledger.received(hl7, run.run_key)),
            f"order receiver {hl7}",
            0.0,
            result.notes,
            go_on,
        )
        if findings is not None:
            methods.append("ledger")
            result.findings += findings
        if witnesses.dicom is None:
            _count(result, findings is not None)
    if witnesses.dicom is None and witnesses.hl7 is None:
        result.notes.append("nobody could be asked: orders were acknowledged, no more is known")
        _count(result, asked=False)
    result.method = "+".join(methods) or "none"
    return result


def _count(result: Reconciliation, asked: bool) -> None:
    if asked:
        result.checked = result.expected
    else:
        result.unverifiable = result.expected


def _ask(
    question: Callable[[], list[Finding]], whom: str, within: float, notes: list[str], go_on: Callable[[], None]
) -> list[Finding] | None:
    """The findings once nothing is missing, or the last ones when the time is over; None when there was no answer."""
    until = time.monotonic() + within
    findings, trouble = None, ""
    while True:
        try:
            findings = question()
        except NotAnswerable as error:
            notes.append(f"{whom} can't be asked what it has: {error}")
            return None
        except Unavailable as error:
            trouble = f"{whom} did not answer: {error}"
        else:
            if not any(finding.kind == "missing" for finding in findings):
                return findings
        if time.monotonic() + _PAUSE > until:
            break
        go_on()
        time.sleep(_PAUSE)
    if findings is None:
        notes.append(trouble)
    return findings
