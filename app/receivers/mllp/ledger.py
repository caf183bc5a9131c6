"""The MLLP receiver's record of the orders it kept, taken from the wire and nothing else."""

from __future__ import annotations

from typing import NamedTuple

from app.domain.errors import YeeterError
from app.domain.identity import RUN_KEY_LENGTH
from app.domain.study import ReceivedOrder
from app.hl7.ledger_query import LedgerPage, LedgerQuery
from app.hl7.parsing import ParsedMessage

DEFAULT_LIMIT = 1_000_000


class LedgerFull(YeeterError):
    """It holds as many orders as it may; none is forgotten to make room, since that would look like a loss."""


class _Kept(NamedTuple):
    accession: str
    patient_id: str
    patient_name: str
    copies: int


class Ledger:
    """Orders by message control ID (MSH-10), in order of arrival. At most ``limit`` of them, some 400 bytes each."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.repeats = 0  # messages that came again and were not kept again
        self._limit = limit
        self._orders: dict[str, _Kept] = {}
        self._by_run: dict[str, list[str]] = {}  # control IDs by what their accession numbers begin with

    def __len__(self) -> int:
        return len(self._orders)

    def __contains__(self, control_id: str) -> bool:
        return control_id in self._orders

    def check_room(self) -> None:
        """Raises LedgerFull when there is none for another order."""
        if len(self._orders) >= self._limit:
            raise LedgerFull(f"the ledger is full ({self._limit} orders); start the receiver with a new one")

    def keep(self, order: ParsedMessage, copies: int = 1) -> None:
        """Take in an order that is not in it.

        Raises:
            LedgerFull: there is no room.
        """
        self.check_room()
        self._orders[order.control_id] = _Kept(order.accession, order.patient_id, order.patient_name, copies)
        self._by_run.setdefault(order.accession[:RUN_KEY_LENGTH], []).append(order.control_id)

    def answer(self, query: LedgerQuery) -> LedgerPage:
        """The page of orders that a query asks for."""
        matching = self._matching(query.prefix)
        page = matching[query.pointer : query.pointer + query.limit]
        end = query.pointer + len(page)
        orders = (ReceivedOrder(control_id, *self._orders[control_id]) for control_id in page)
        return LedgerPage(tuple(orders), len(matching), end if end < len(matching) else None)

    def _matching(self, prefix: str) -> list[str]:
        """Control IDs of the orders whose accession numbers begin with ``prefix``, in order of arrival."""
        if len(prefix) == RUN_KEY_LENGTH:
            return self._by_run.get(prefix, [])
        return [control_id for control_id, kept in self._orders.items() if kept.accession.startswith(prefix)]
