"""What happens to an order between its arrival and its answer: perhaps lied about, written down, kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

from app.hl7.acknowledgement import AckCode
from app.hl7.parsing import ParsedMessage
from app.receivers.journal import Journal, Record
from app.receivers.mllp.ledger import Ledger
from app.receivers.mllp.lies import Liar, Lie

_ANSWERS: Final[dict[Lie, tuple[AckCode, str]]] = {
    "reject": ("AR", "rejected, as this receiver was told to"),
    "error": ("AE", "error, as this receiver was told to"),
}
_NOT_KEPT: Final = ("drop", "reject", "error")


class Intake:
    """Takes orders into the ledger, and into a file where one was named. For one thread.

    A line of the file is an order as it was kept, with the number of its copies and the lie that was told about it, if
    any; one that was not kept has no copies. A message that came again is a line with its control ID and ``repeat``.
    """

    def __init__(self, ledger: Ledger, liar: Liar) -> None:
        self._ledger = ledger
        self._liar = liar
        self._journal: Journal | None = None

    def open(self, path: Path) -> None:
        """Take in what the file says, and write on in it; see :class:`app.receivers.journal.Journal` for errors."""
        self._journal = Journal(path, self._recall)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def take(self, order: ParsedMessage) -> tuple[AckCode, str]:
        """Keep an order, if it is new and no lie is told about it; the acknowledgement's code and text.

        Raises:
            LedgerFull: there is no room.
            OSError: the file can't be written; the order may come again.
        """
        if order.control_id in self._ledger:
            self._write({"control_id": order.control_id, "repeat": True})
            self._ledger.repeats += 1
            return "AA", ""
        is_new = not self._liar.knows(order.control_id)
        lie = self._liar.lie_about(order)
        if lie == "swap_patient":
            order = self._liar.with_other_patient(order)
        copies = 0 if lie in _NOT_KEPT else 2 if lie == "duplicate" else 1
        if copies:
            self._ledger.check_room()
        if copies or is_new:
            self._write(_record(order, copies, lie))
        if copies:
            self._ledger.keep(order, copies)
        return _ANSWERS.get(lie, ("AA", "")) if lie else ("AA", "")

    def _write(self, record: Record) -> None:
        if self._journal is not None:
            self._journal.append(record)

    def _recall(self, record: Record) -> None:
        """Take in a line of the file. Raises KeyError or ValueError when it is none."""
        if record.get("repeat"):
            self._ledger.repeats += record["control_id"] in self._ledger
            return
        lie = record.get("lie")
        if lie is not None and lie not in get_args(Lie):
            raise ValueError(f"there is no lie {lie!r}")
        order = _order(record)
        self._liar.recall(order, lie)
        if record["copies"]:
            self._ledger.keep(order, record["copies"])


def _record(order: ParsedMessage, copies: int, lie: Lie | None) -> Record:
    record: dict[str, Any] = {
        "control_id": order.control_id,
        "accession": order.accession,
        "patient_id": order.patient_id,
        "patient_name": order.patient_name,
        "copies": copies,
        "message_time": order.message_time,
    }
    return record if lie is None else record | {"lie": lie}


def _order(record: Record) -> ParsedMessage:
    return ParsedMessage(
        control_id=record["control_id"],
        message_type="",
        sending_application="",
        patient_id=record["patient_id"],
        patient_name=record["patient_name"],
        accession=record["accession"],
        message_time=record["message_time"],
    )
