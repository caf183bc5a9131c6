"""What the MLLP receiver answers to each message: acknowledgements (original mode) and its ledger's pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from app.hl7.acknowledgement import AckCode, build_acceptance, build_ack
from app.hl7.ledger_query import RECEIVER, build_response, parse_query
from app.hl7.parsing import ParsedMessage, parse_message
from app.receivers.mllp.intake import Intake
from app.receivers.mllp.ledger import Ledger, LedgerFull

_ORDERS = ("ORM", "OMI", "OMG")


class Responder:
    """Takes messages in and answers them; one for all connections."""

    def __init__(self, ledger: Ledger, intake: Intake, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._intake = intake
        self._clock = clock

    def respond(self, message: bytes) -> bytes:
        """The answer to one message, which by then is in the ledger if it is to be kept.

        AA: taken; AE: may be sent again; AR: never will be taken, the text says why.

        Raises:
            ValueError: the message has no MSH segment, so there is nobody to answer.
        """
        parsed = parse_message(message)
        try:
            _check(parsed)
            if parsed.message_type.startswith("QBP"):
                query = parse_query(message)
                return build_response(query, self._ledger.answer(query), f"R{query.control_id}"[:20], self._clock())
        except ValueError as error:
            return self._acknowledge(message, "AR", str(error))
        try:
            if not parsed.accession:
                return self._acknowledge(message, "AA", "")  # no order (an ADT, say): nothing to keep
            return self._acknowledge(message, *self._intake.take(parsed))
        except (LedgerFull, OSError) as error:
            return self._acknowledge(message, "AE", str(error))

    def _acknowledge(self, message: bytes, code: AckCode, text: str) -> bytes:
        header = message.lstrip().split(b"\r", 1)[0]  # all that an acknowledgement needs
        if code == "AA" and not text:
            return build_acceptance(header, RECEIVER, self._clock())
        return build_ack(header, code, text, sending_application=RECEIVER, sent_at=self._clock())


def _check(message: ParsedMessage) -> None:
    """Raises ValueError, naming the field that a receiver needs and the message does not have."""
    missing = []
    if not message.control_id:
        missing.append("MSH-10 (message control ID)")
    if not message.message_type:
        missing.append("MSH-9 (message type)")
    if message.message_type.startswith(_ORDERS):
        if not message.patient_id:
            missing.append("PID-3 (patient ID)")
        if not message.accession:
            missing.append("OBR-18 (accession number)")
    if missing:
        raise ValueError(f"required field missing: {', '.join(missing)}")
