"""Comparing what a witness has with the orders of a run, in batches: memory is six bytes an order, and the findings."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TypeVar

from app.dicom.comparison import ExpectedStudy, study_difference
from app.dicom.person_name import normal_pn
from app.domain.identity import NUMBER_LENGTH, RUN_KEY_LENGTH, order_number_of
from app.domain.run import OrderState
from app.domain.study import ArchivedStudy, ReceivedOrder
from app.domain.work import Finding, OrderRow
from app.ports import RunQueries

BATCH = 1000
_MOST = 255  # what a byte can count; more copies of one order are as wrong

Item = TypeVar("Item")


@dataclass(frozen=True)
class RunOrders:
    """The orders of one run, which has no more to do; read in batches."""

    queries: RunQueries
    run_id: str
    run_key: str
    requested: int

    @cached_property
    def completed(self) -> array[int]:
        """Numbers of those that are to be found, ascending."""
        found = array("i")
        while numbers := self.queries.completed(self.run_id, found[-1] if found else -1, BATCH):
            found.extend(numbers)
        return found

    def rows(self, numbers: Iterable[int]) -> Iterator[OrderRow]:
        """The orders with these numbers, but for those that somebody removes meanwhile."""
        remaining = iter(numbers)
        while batch := list(islice(remaining, BATCH)):
            rows = self.queries.numbered(self.run_id, batch)
            yield from (rows[number] for number in batch if number in rows)

    def of(self, items: Iterable[Item], accession: Callable[[Item], str]) -> Iterator[tuple[Item, OrderRow | None]]:
        """Each item with the order that its accession number names, or None."""
        remaining = iter(items)
        while batch := list(islice(remaining, BATCH)):
            numbers = [order_number_of(self.run_key, accession(item)) for item in batch]
            rows = self.queries.numbered(self.run_id, [number for number in numbers if number is not None])
            for item, number in zip(batch, numbers, strict=True):
                yield item, None if number is None else rows.get(number)


def compare_studies(orders: RunOrders, found: Iterable[ArchivedStudy]) -> list[Finding]:
    """Every difference between the completed orders and the studies that the archive has."""
    copies = bytearray(orders.requested)
    own = bytearray(orders.requested)  # 1 where a study has the UID that was ordered
    findings: list[Finding] = []
    foreign: list[tuple[int, Finding]] = []
    for study, order in orders.of(found, lambda study: study.accession):
        if order is None:
            text = "the archive has a study that nobody ordered"
            findings.append(Finding(None, study.accession, "mismatched", "dicom", text))
            continue
        if order.state is not OrderState.COMPLETED:  # what a failed or cancelled order left behind is not expected
            continue
        copies[order.number] = min(copies[order.number] + 1, _MOST)
        difference = study_difference(_expected(order), study)
        finding = Finding(order.number, order.accession, "mismatched", "dicom", difference)
        if study.study_uid != order.study_uid:
            foreign.append((order.number, finding))  # beside the right study it is a duplicate, not a mismatch
            continue
        own[order.number] = 1
        if difference:
            findings.append(finding)
    findings += [finding for number, finding in foreign if not own[number]]
    for order in orders.rows(number for number in orders.completed if copies[number] != 1):
        if not copies[order.number]:
            findings.append(Finding(order.number, order.accession, "missing", "dicom", "the archive has no study"))
        else:
            text = f"the archive has {copies[order.number]} studies"
            findings.append(Finding(order.number, order.accession, "duplicated", "dicom", text))
    return findings


def compare_messages(orders: RunOrders, found: Iterable[ReceivedOrder]) -> list[Finding]:
    """Every difference between the completed orders and the messages that the order receiver has."""
    received = bytearray(orders.requested)
    findings: list[Finding] = []
    for message, order in orders.of(found, _accession_sent):
        if order is None or message.control_id != order.control_id:
            text = "the order receiver has an order that nobody placed"
            findings.append(Finding(None, message.accession, "mismatched", "hl7", text))
            continue
        if order.state is not OrderState.COMPLETED:
            continue
        received[order.number] = 1
        if message.copies > 1:
            text = f"the order receiver has it {message.copies} times"
            findings.append(Finding(order.number, order.accession, "duplicated", "hl7", text))
        difference = _message_difference(order, message)
        if difference:
            findings.append(Finding(order.number, order.accession, "mismatched", "hl7", difference))
    text = "the order receiver does not have the message"
    findings += [
        Finding(order.number, order.accession, "missing", "hl7", text)
        for order in orders.rows(number for number in orders.completed if not received[number])
    ]
    return findings


def _accession_sent(message: ReceivedOrder) -> str:
    """The accession number by the control ID: what the message was when it was sent."""
    return message.control_id[: RUN_KEY_LENGTH + NUMBER_LENGTH]


def _expected(order: OrderRow) -> ExpectedStudy:
    return ExpectedStudy(
        order.study_uid, order.patient_id, order.patient_name, order.birth_date, order.sex, order.instances
    )


def _message_difference(order: OrderRow, message: ReceivedOrder) -> str:
    name = _pn_of_xpn(message.patient_name)
    if (message.accession, message.patient_id, name) == (order.accession, order.patient_id, order.patient_name):
        return ""  # as they are all but always, so that names need not be made alike first
    pairs = (
        ("accession number", order.accession, message.accession),
        ("patient ID", order.patient_id, message.patient_id),
        ("patient name", normal_pn(order.patient_name), normal_pn(name)),
    )
    return "; ".join(f"{what} is {got!r}, not {want!r}" for what, want, got in pairs if got != want)


def _pn_of_xpn(name: str) -> str:
    """XPN is family^given^middle^suffix^prefix, PN family^given^middle^prefix^suffix."""
    if name.count("^") < 3:  # no more than the parts that both begin with
        return name
    family, given, middle, suffix, prefix = [*name.split("^"), ""][:5]
    return "^".join((family, given, middle, prefix, suffix))
