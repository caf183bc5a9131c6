"""Reconciliation against the order receiver's ledger, late indexing, and witnesses that do not answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import PermanentError, Unavailable
from app.domain.run import OrderState, Run
from app.domain.study import ArchivedStudy, ReceivedOrder
from app.domain.work import OrderRow
from app.ports import StepContext, StepResult
from app.runs.producing.reconcile import Reconciliation, Witnesses, reconcile
from tests.runs.conftest import World
from tests.runs.fakes import FakeArchive, FakeLedger, stored
from tests.runs.test_run_to_end import archived

HL7 = Hl7Destination(host="127.0.0.1", port=2575)
DICOM = DicomDestination(aet="ARCHIVE", host="127.0.0.1", port=104)
ORDERS = 6


@pytest.fixture
def run(world: World) -> Run:
    return world.run_to_end(world.start(orders=ORDERS))


def rows(world: World, run: Run) -> list[OrderRow]:
    page = world.database.queries.orders(run.id, state=OrderState.COMPLETED, search=None, after=None, limit=100)
    return sorted(page.rows, key=lambda row: row.number)


def received(row: OrderRow) -> ReceivedOrder:
    family, given, middle, prefix, suffix = [*row.patient_name.split("^"), "", "", "", ""][:5]
    xpn = "^".join((family, given, middle, suffix, prefix)).rstrip("^")
    return ReceivedOrder(row.control_id, row.accession, row.patient_id, xpn, copies=1)


def ask(
    world: World,
    run: Run,
    archive: FakeArchive | None = None,
    ledger: list[ReceivedOrder] | None = None,
    within: float = 0.0,
) -> Reconciliation:
    witnesses = Witnesses(
        archive or FakeArchive(),
        DICOM if archive else None,
        FakeLedger(ledger),
        HL7 if ledger is not None else None,
    )
    return reconcile(world.database.queries, run, witnesses, within)


def test_an_honest_ledger_and_archive_agree_with_every_order(world: World, run: Run) -> None:
    mine = rows(world, run)
    result = ask(world, run, FakeArchive([archived(row) for row in mine]), [received(row) for row in mine])
    assert (result.method, result.expected, result.checked, result.findings) == ("c-find+ledger", ORDERS, ORDERS, [])


@pytest.mark.parametrize(
    ("lie", "kind", "words"),
    [
        (lambda orders: orders[1:], "missing", "does not have the message"),
        (lambda orders: [replace(orders[0], copies=2), *orders[1:]], "duplicated", "has it 2 times"),
        (lambda orders: [replace(orders[0], patient_id="X"), *orders[1:]], "mismatched", "patient ID is 'X'"),
        (lambda orders: [replace(orders[0], patient_name="X^Y"), *orders[1:]], "mismatched", "patient name is 'X^Y'"),
        (lambda orders: [replace(orders[0], accession="X"), *orders[1:]], "mismatched", "accession number is 'X'"),
    ],
)
def test_a_ledger_that_lies_is_found_out(
    world: World, run: Run, lie: Callable[[list[ReceivedOrder]], list[ReceivedOrder]], kind: str, words: str
) -> None:
    result = ask(world, run, ledger=lie([received(row) for row in rows(world, run)]))
    finding = result.findings[0]
    assert (finding.kind, finding.source, finding.accession) == (kind, "hl7", f"{run.run_key}00000")
    assert words in finding.detail
    assert result.checked == ORDERS


def test_an_archive_that_indexes_late_is_asked_again(world: World, run: Run) -> None:
    studies = [archived(row) for row in rows(world, run)]

    class Late(FakeArchive):
        def studies(self, destination: DicomDestination, run_key: str, orders: int):  # type: ignore[no-untyped-def]
            self.asked += 1
            return iter(studies if self.asked == 2 else studies[2:])

    archive = Late()
    assert ask(world, run, archive, within=5.0).findings == []
    assert archive.asked == 2


def test_an_archive_that_does_not_answer_leaves_the_orders_unverified_and_says_so(world: World, run: Run) -> None:
    result = ask(world, run, FakeArchive(down="connection refused"))
    assert (result.method, result.checked, result.unverifiable) == ("none", 0, ORDERS)
    assert result.notes == ["archive ARCHIVE@127.0.0.1:104 did not answer: connection refused"]


def test_an_archive_that_fails_later_does_not_undo_what_it_said(world: World, run: Run) -> None:
    studies = [archived(row) for row in rows(world, run)]

    class Failing(FakeArchive):
        def studies(self, destination: DicomDestination, run_key: str, orders: int) -> list[ArchivedStudy]:  # type: ignore[override]
            self.asked += 1
            if self.asked > 1:
                raise Unavailable("gone")
            return studies[1:]

    result = ask(world, run, Failing(), within=1.5)
    assert [finding.kind for finding in result.findings] == ["missing"]
    assert result.checked == ORDERS


def test_with_nobody_to_ask_nothing_is_verified(world: World, run: Run) -> None:
    result = ask(world, run)
    assert (result.method, result.unverifiable) == ("none", ORDERS)
    assert "nobody could be asked" in result.notes[0]


def test_what_a_failed_order_left_behind_is_neither_expected_nor_wrong(world: World) -> None:
    def act(context: StepContext) -> StepResult:
        if context.order.number == 1:
            raise PermanentError("the archive refused the last instance")
        return stored(context)

    world.steps.steps["SEND_DICOM"].act = act
    run = world.run_to_end(world.start(orders=3))
    partial = replace(archived(world.database.queries.order(run.id, 1)[0]), instances=0)
    studies = [archived(row) for row in rows(world, run)]
    result = ask(world, run, FakeArchive([partial, *studies]))
    assert (result.expected, result.findings) == (2, [])


def test_copies_under_other_uids_beside_the_right_study_are_one_duplicate(world: World, run: Run) -> None:
    first, *others = [archived(row) for row in rows(world, run)]
    copies = [replace(first, study_uid=f"2.25.{number}") for number in (1, 2)]
    result = ask(world, run, FakeArchive([copies[0], first, copies[1], *others]))
    assert [(finding.kind, finding.detail) for finding in result.findings] == [
        ("duplicated", "the archive has 3 studies")
    ]
