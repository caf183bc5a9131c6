"""One DICOM association as requestor that asks: C-ECHO and C-FIND (PS3.7 sections 9.1.5 and 9.1.2), one at a time.

Faults that a new association may not show again are AnswerLost; without an association it is NoAssociation. The texts
of both are clauses about the peer.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

from app.adapters.upper_layer import ConnectionLost, PduConnection, TimeLimits, abort, release
from app.dicom.network import command_set, pdu
from app.dicom.network.command_set import encode_command_set, number
from app.dicom.network.fragments import fragment
from app.dicom.network.messages import Assembler, Message
from app.dicom.network.reasons import rejection_reason, what
from app.domain.destination import DicomDestination
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from app.util.addresses import Resolve

VERIFICATION: Final = "1.2.840.10008.1.1"
STUDY_ROOT_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"

SUCCESS: Final = 0x0000
PENDING: Final = (0xFF00, 0xFF01)  # PS3.4 table C.4-1; the latter: some optional keys were not matched

_MAX_PDU: Final = 1 << 16  # what we announce for P-DATA-TF
_LONGEST_ANSWER: Final = 1 << 20  # bytes of its command set and its identifier; usual are some hundred
_LONGEST_COMMENT: Final = 64  # characters of an LO

_CONTEXT_ID: Final = 1
_TRANSFER_SYNTAXES: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)


class NoAssociation(Exception):
    """Not reached, rejected, aborted, or no answer in time."""


class NotOffered(Exception):
    """The peer does not accept the SOP class."""


class AnswerLost(Exception):
    """No answer, or none that makes sense; the association is of no more use."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response message; the identifier is None where none came."""

    status: int
    comment: str
    identifier: pdu.Buffer | None


class QueryAssociation:
    """An established association for one SOP class; of one thread."""

    def __init__(
        self, connection: PduConnection, sop_class_uid: str, transfer_syntax_uid: str, max_pdu: int, limits: TimeLimits
    ) -> None:
        """``max_pdu`` is what the peer takes."""
        self.transfer_syntax_uid = transfer_syntax_uid
        self._connection = connection
        self._sop_class_uid = sop_class_uid
        self._max_pdu = max_pdu
        self._limits = limits
        self._assembler = Assembler((_CONTEXT_ID,), _LONGEST_ANSWER)
        self._incoming: Iterator[Message] = iter(())  # of the PDU that came last
        self._message_id = 0
        self._is_settled = True  # nothing was asked that has no final answer

    @classmethod
    def open(
        cls,
        destination: DicomDestination,
        sop_class_uid: str,
        tls: ssl.SSLContext | None,
        limits: TimeLimits,
        resolve: Resolve,
    ) -> Self:
        """Raises NoAssociation or NotOffered."""
        try:
            connection = PduConnection.open(destination.host, destination.port, tls, limits.connect, resolve)
        except ConnectionLost as error:
            raise NoAssociation(str(error)) from error
        try:
            accept = _negotiate(connection, destination, sop_class_uid, limits)
        except BaseException:
            connection.close()
            raise
        for context in accept.contexts:
            if (context.id, context.result) == (_CONTEXT_ID, 0) and context.transfer_syntax in _TRANSFER_SYNTAXES:
                return cls(connection, sop_class_uid, context.transfer_syntax, accept.max_pdu, limits)
        abort(connection, limits.release)
        raise NotOffered

    def echo(self) -> int:
        """The status of a C-ECHO. Raises AnswerLost."""
        self._ask(command_set.C_ECHO_RQ, {}, None)
        answer = self._answer(command_set.C_ECHO_RQ)
        self._is_settled = True
        return answer.status

    def find(self, identifier: bytes) -> Iterator[Answer]:
        """The pending answers to a C-FIND, as they come, and the final one. Raises AnswerLost."""
        self._ask(command_set.C_FIND_RQ, {command_set.PRIORITY: 0}, identifier)
        while True:
            answer = self._answer(command_set.C_FIND_RQ)
            self._is_settled = answer.status not in PENDING
            yield answer
            if self._is_settled:
                return

    def close(self) -> None:
        """Release it; abort it where an answer is missing."""
        if self._is_settled:
            release(self._connection, self._limits.release)
        else:
            abort(self._connection, self._limits.release)

    def _ask(self, command: int, more: dict[int, int], identifier: bytes | None) -> None:
        self._message_id = self._message_id % 0xFFFF + 1
        elements: dict[int, int | bytes] = {
            command_set.AFFECTED_SOP_CLASS_UID: self._sop_class_uid.encode("ascii"),
            command_set.COMMAND_FIELD: command,
            command_set.MESSAGE_ID: self._message_id,
            **more,
            command_set.DATA_SET_TYPE: command_set.NO_DATA_SET if identifier is None else command_set.HAS_DATA_SET,
        }
        self._is_settled = False
        try:
            parts = fragment(_CONTEXT_ID, True, encode_command_set(elements), self._max_pdu)
            if identifier is not None:
                parts += fragment(_CONTEXT_ID, False, identifier, self._max_pdu)
            self._connection.send(parts, time.monotonic() + self._limits.dimse, self._limits.network)
        except (ConnectionLost, pdu.PduError) as error:
            raise AnswerLost(str(error)) from error

    def _answer(self, command: int) -> Answer:
        """The next one to the request under way, of this command field."""
        try:
            message = self._message(time.monotonic() + self._limits.dimse)
            elements = message.elements
            if message.command != command | command_set.IS_RESPONSE:
                raise AnswerLost(f"a message 0x{message.command:04X} in place of an answer")
            answered = number(elements, command_set.MESSAGE_ID_BEING_RESPONDED_TO)
            if answered != self._message_id:
                raise AnswerLost(f"an answer to message {answered}, not {self._message_id}")
            has_identifier = number(elements, command_set.DATA_SET_TYPE) != command_set.NO_DATA_SET
            status = number(elements, command_set.STATUS)
            return Answer(status, _comment(elements), message.data if has_identifier else None)
        except TimeoutError as error:
            raise AnswerLost("nothing whole came in time") from error
        except (ConnectionLost, pdu.PduError) as error:
            raise AnswerLost(str(error)) from error

    def _message(self, deadline: float) -> Message:
        while True:
            message = next(self._incoming, None)
            if message is not None:
                return message
            encoded = self._connection.receive_encoded(deadline)
            if encoded[0] != pdu.DataTransfer.TYPE:
                raise self._ended(pdu.decode(encoded[0], encoded[pdu.HEADER_SIZE :]))
            self._incoming = self._assembler.messages(memoryview(encoded)[pdu.HEADER_SIZE :])

    def _ended(self, received: pdu.Pdu) -> AnswerLost:
        if isinstance(received, pdu.ReleaseRequest):
            response = pdu.ReleaseResponse().encode()
            self._connection.send([response], time.monotonic() + self._limits.release, self._limits.release)
        return AnswerLost(f"{what(received)} in place of an answer")


def _comment(elements: Mapping[int, bytes]) -> str:
    """The error comment, as far as it can be shown."""
    text = elements.get(command_set.ERROR_COMMENT, b"")[:_LONGEST_COMMENT].decode("ascii", "replace")
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _negotiate(
    connection: PduConnection, destination: DicomDestination, sop_class_uid: str, limits: TimeLimits
) -> pdu.AssociateAccept:
    context = pdu.ProposedContext(_CONTEXT_ID, sop_class_uid, _TRANSFER_SYNTAXES)
    request = pdu.AssociateRequest(destination.aet, destination.calling_aet, (context,), _MAX_PDU)
    deadline = time.monotonic() + limits.acse
    try:
        connection.handshake(deadline)
        connection.send([request.encode()], deadline, limits.network)
        answer = connection.receive(deadline)
    except TimeoutError as error:
        raise NoAssociation(f"no association: no answer within {limits.acse:.0f} s") from error
    except ssl.SSLCertVerificationError as error:
        raise NoAssociation(
            f"no association: its TLS certificate is not trusted: {error.verify_message} "
            "(check the CA file in the settings and the destination's host name)"
        ) from error
    except (ConnectionLost, pdu.PduError) as error:
        raise NoAssociation(f"no association: {error}") from error
    if isinstance(answer, pdu.AssociateReject):
        duration = "permanently" if answer.result == pdu.AssociateReject.PERMANENT else "for now"
        raise NoAssociation(f"association rejected {duration}: {rejection_reason(answer)}")
    if not isinstance(answer, pdu.AssociateAccept):
        raise NoAssociation(f"no association: {what(answer)} in answer to the association request")
    return answer
