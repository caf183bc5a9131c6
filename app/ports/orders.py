"""Sending orders, and asking what became of them: HL7 v2 over MLLP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from app.domain.destination import Hl7Destination
from app.domain.records import record
from app.domain.study import ReceivedOrder


@record(frozen=True, slots=True)
class OutboundOrder:
    """An encoded message and its lane: messages of one lane (patient) go one after the other on one connection."""

    number: int
    control_id: str
    lane: str
    message: bytes


OrderVerdict = Literal["accepted", "error", "rejected", "unknown", "unreachable"]


@record(frozen=True, slots=True)
class OrderOutcome:
    """What became of one message.

    ``accepted`` AA or CA; ``error`` AE or CE on the last attempt; ``rejected`` AR or CR; ``unknown`` no valid answer to
    the last attempt (time limit, reset, bad frame: ``reason`` says which); ``unreachable`` no connection could be made
    for it, so there is no verdict and it may be submitted again. ``possibly_duplicated``: an earlier attempt's outcome
    is unknown, so the receiver may have it twice. ``attempts`` counts transmissions; 0 means it never left.
    """

    number: int
    verdict: OrderVerdict
    code: str  # MSA-1, empty without an answer
    reason: str
    acknowledgement: bytes
    sender: str  # MSH-3 of the acknowledgement
    attempts: int
    timeouts: int
    errors: int  # AE or CE answers among the attempts
    possibly_duplicated: bool
    ack_seconds: float  # of the last attempt
    wait_seconds: float  # from its submission to the first attempt: its connection was not there, or not free
    total_seconds: float  # from the first attempt to the last one's outcome


class OrderSender(Protocol):
    """Sends order messages over persistent connections and checks each acknowledgement. Used by one thread."""

    def submit(self, order: OutboundOrder) -> None:
        """Queue for sending; returns at once."""
        ...

    def completed(self, timeout: float) -> list[OrderOutcome]:
        """Outcomes since the last call; waits up to ``timeout`` seconds for the first one."""
        ...

    def withdraw(self) -> list[int]:
        """Take back what was never transmitted; the numbers of those orders. The rest still completes."""
        ...

    def close(self) -> None: ...


class OrderLedger(Protocol):
    """Asks an HL7 receiver what it has."""

    def received(self, destination: Hl7Destination, run_key: str) -> Iterator[ReceivedOrder]:
        """All orders whose accession number begins with the run key.

        Raises:
            NotAnswerable: this receiver keeps no ledger that can be asked.
            Unavailable: it could not be reached.
        """
        ...
