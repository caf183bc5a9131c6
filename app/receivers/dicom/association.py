"""One peer's association as acceptor, from its request to its end (PS3.8 section 9.2): a state a function.

    Sta2  awaiting the request     ``_request``      anything but an A-ASSOCIATE-RQ is aborted (AA-1)
    Sta3  answering it             ``run``           accepted, or rejected
    Sta6  data transfer            ``_next``         P-DATA-TF, release and abort; anything else is aborted (AA-8)
    Sta13 awaiting the end         ``close`` of the connection

Messages are served one after the other, as they came; only a query looks ahead, for its C-CANCEL.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn, Protocol, TypeAlias

import structlog

from app.dicom.network import command_set
from app.dicom.network.command_set import encode_command_set, number, uid
from app.dicom.network.fragments import fragment
from app.dicom.network.messages import Assembler, Message
from app.dicom.network.pdu import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Buffer,
    DataTransfer,
    PduError,
    ReleaseRequest,
    ReleaseResponse,
)
from app.domain.study import EncodedInstance
from app.receivers.dicom.connection import PeerConnection, PeerFault, PeerLimits
from app.receivers.dicom.negotiation import SERVICES, Service

SUCCESS: Final = 0x0000
PENDING: Final = 0xFF00
CANCELLED: Final = 0xFE00
_UNRECOGNIZED_OPERATION: Final = 0x0211  # PS3.7 annex C.5.10

_BY_USER = Abort(0, 0)
_BY_PROVIDER = 2
_UNEXPECTED_PDU, _INVALID_PARAMETER = 2, 6

Answer: TypeAlias = tuple[int, bytes]  # status, and the identifier of a pending one

log = structlog.get_logger()


class Services(Protocol):
    """What is done with what peers ask for; called by many threads."""

    def negotiate(self, request: AssociateRequest) -> AssociateAccept | AssociateReject:
        """Raises PduError where the request contradicts itself."""
        ...

    def store(self, instance: EncodedInstance) -> int:
        """The status of a C-STORE. The instance's data is gone after the call."""
        ...

    def find(self, identifier: Buffer, transfer_syntax_uid: str) -> Iterator[Answer]:
        """A pending answer for each match, or one that says what is wrong."""
        ...


class _Ended(Exception):
    """The peer ended the association, or the connection."""


class Association:
    """Lives in a thread of its own."""

    def __init__(self, connection: PeerConnection, services: Services, limits: PeerLimits, peer: Any) -> None:
        """``peer`` is its address, for the log."""
        self._connection = connection
        self._services = services
        self._limits = limits
        self._peer = peer
        self._syntaxes: dict[int, tuple[str, str]] = {}  # abstract and transfer syntax of the accepted contexts
        self._max_pdu = 0
        self._assembler = Assembler(self._syntaxes, limits.message_size)
        self._incoming: Iterator[Message] = iter(())  # of the PDU that came last
        self._waiting: deque[Message] = deque()  # that came while a query was answered
        self._finding: bytes | None = None  # the message ID of that query
        self._cancelled: set[bytes | None] = set()  # queries, under way or waiting

    def run(self) -> None:
        """Until the end, whoever brings it about; leaves the connection to be closed."""
        try:
            if self._established():
                while True:
                    self._serve(self._next())
        except _Ended:
            pass
        except OSError as error:
            self._note(f"connection lost: {error.strerror or error}")

    # --- From the request to its answer -------------------------------------------------------------------------------

    def _established(self) -> bool:
        """Whether there is an association now."""
        try:
            request = self._request()
            answer = self._services.negotiate(request)
        except (PduError, PeerFault, TimeoutError) as error:
            self._abort(str(error), _BY_USER)
        self._connection.send([answer.encode()])
        if isinstance(answer, AssociateReject):
            return False
        proposed = {context.id: context.abstract_syntax for context in request.contexts}
        for context in answer.contexts:
            if context.result == 0:
                self._syntaxes[context.id] = proposed[context.id], context.transfer_syntax
        self._max_pdu = request.max_pdu
        return True

    def _request(self) -> AssociateRequest:
        received = self._connection.receive(self._limits.request_seconds)
        if received is None:
            raise _Ended
        kind, body = received
        if kind == Abort.TYPE:
            raise _Ended
        if kind != AssociateRequest.TYPE:
            raise PduError(f"a PDU of type 0x{kind:02X} in place of an association request")
        return AssociateRequest.decode(body)

    # --- Messages -----------------------------------------------------------------------------------------------------

    def _next(self) -> Message:
        """The next message."""
        while True:
            if self._waiting:
                return self._waiting.popleft()
            message = self._take()
            if message is not None:
                return message
            self._receive()

    def _take(self) -> Message | None:
        """A message of the PDU that came last."""
        try:
            return next(self._incoming, None)
        except PduError as error:
            self._abort(str(error), Abort(_BY_PROVIDER, _INVALID_PARAMETER))

    def _receive(self) -> None:
        """Wait for a PDU of data transfer."""
        try:
            received = self._connection.receive(self._limits.idle_seconds)
        except TimeoutError:
            self._abort("nothing came for too long", _BY_USER)
        except PeerFault as fault:
            self._abort(str(fault), Abort(_BY_PROVIDER, fault.reason))
        if received is None:
            raise _Ended
        kind, body = received
        if kind == DataTransfer.TYPE:
            self._incoming = self._assembler.messages(body)
            return
        if kind == ReleaseRequest.TYPE:
            self._connection.send([ReleaseResponse().encode()])
            raise _Ended
        if kind == Abort.TYPE:
            raise _Ended
        self._abort(f"a PDU of type 0x{kind:02X} in data transfer", Abort(_BY_PROVIDER, _UNEXPECTED_PDU))

    def _look_ahead(self) -> None:
        """Take in what has come, as far as so many messages may wait; note what is cancelled."""
        while len(self._waiting) < self._limits.pipelined:
            message = self._take()
            if message is None:
                if not self._connection.has_input():
                    return
                self._receive()
            elif message.command == command_set.C_CANCEL_RQ:
                self._note_cancel(message)
            else:
                self._waiting.append(message.kept())

    def _note_cancel(self, message: Message) -> None:
        """Of a query that is not answered yet; any other is ignored (PS3.7 section 9.3.2.3)."""
        cancelled = message.elements.get(command_set.MESSAGE_ID_BEING_RESPONDED_TO)
        if cancelled == self._finding or any(cancelled == _message_id(waiting) for waiting in self._waiting):
            self._cancelled.add(cancelled)

    # --- Services -----------------------------------------------------------------------------------------------------

    def _serve(self, message: Message) -> None:
        abstract_syntax, transfer_syntax = self._syntaxes[message.context_id]
        operation = _OPERATIONS.get((SERVICES[abstract_syntax], message.command))
        try:
            if operation is not None:
                operation(self, message, transfer_syntax)
            elif message.command & command_set.IS_RESPONSE:
                raise PduError(f"an answer 0x{message.command:04X} to nothing")
            elif message.command != command_set.C_CANCEL_RQ:  # of a query that was answered already
                self._respond(message, _UNRECOGNIZED_OPERATION)
        except PduError as error:
            self._abort(str(error), Abort(_BY_PROVIDER, _INVALID_PARAMETER))

    def _echo(self, message: Message, transfer_syntax_uid: str) -> None:
        self._respond(message, SUCCESS)

    def _store(self, message: Message, transfer_syntax_uid: str) -> None:
        sop_class_uid = uid(message.elements, command_set.AFFECTED_SOP_CLASS_UID)
        sop_instance_uid = uid(message.elements, command_set.AFFECTED_SOP_INSTANCE_UID)
        instance = EncodedInstance(sop_class_uid, sop_instance_uid, transfer_syntax_uid, memoryview(message.data))
        self._respond(message, self._services.store(instance))

    def _find(self, message: Message, transfer_syntax_uid: str) -> None:
        self._finding = _message_id(message)
        status = SUCCESS
        for answer, identifier in self._services.find(bytes(message.data), transfer_syntax_uid):
            self._look_ahead()
            if self._finding in self._cancelled:
                status = CANCELLED
                break
            if answer != PENDING:
                status = answer
                break
            self._respond(message, PENDING, identifier)
        self._cancelled.discard(self._finding)
        self._finding = None
        self._respond(message, status)

    def _respond(self, message: Message, status: int, identifier: bytes = b"") -> None:
        elements: dict[int, int | bytes] = {}
        if command_set.AFFECTED_SOP_CLASS_UID in message.elements:
            elements[command_set.AFFECTED_SOP_CLASS_UID] = message.elements[command_set.AFFECTED_SOP_CLASS_UID]
        elements[command_set.COMMAND_FIELD] = message.command | command_set.IS_RESPONSE
        elements[command_set.MESSAGE_ID_BEING_RESPONDED_TO] = number(message.elements, command_set.MESSAGE_ID)
        elements[command_set.DATA_SET_TYPE] = command_set.HAS_DATA_SET if identifier else command_set.NO_DATA_SET
        elements[command_set.STATUS] = status
        if command_set.AFFECTED_SOP_INSTANCE_UID in message.elements:
            elements[command_set.AFFECTED_SOP_INSTANCE_UID] = message.elements[command_set.AFFECTED_SOP_INSTANCE_UID]
        parts = fragment(message.context_id, True, encode_command_set(elements), self._max_pdu)
        if identifier:
            parts += fragment(message.context_id, False, memoryview(identifier), self._max_pdu)
        self._connection.send(parts)

    # --- The end ------------------------------------------------------------------------------------------------------

    def _abort(self, reason: str, abort: Abort) -> NoReturn:
        self._note(reason)
        self._connection.send([abort.encode()])
        raise _Ended

    def _note(self, reason: str) -> None:
        log.warning("association ended", reason=reason, peer=self._peer)


def _message_id(message: Message) -> bytes | None:
    return message.elements.get(command_set.MESSAGE_ID)


_OPERATIONS: Final[dict[tuple[Service, int], Callable[[Association, Message, str], None]]] = {
    (Service.VERIFICATION, command_set.C_ECHO_RQ): Association._echo,
    (Service.STORAGE, command_set.C_STORE_RQ): Association._store,
    (Service.QUERY, command_set.C_FIND_RQ): Association._find,
}
