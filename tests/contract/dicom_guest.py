"""A peer of our DICOM receiver that speaks PDU by PDU: what it sends is the test's business."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.dicom.network import command_set, pdu
from app.dicom.network.command_set import decode_command_set, encode_command_set
from app.dicom.network.fragments import fragment
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from tests.contract.instances import CT_IMAGE_STORAGE
from tests.contract.scripted_scp import Peer

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STORAGE, ECHO, FIND = 1, 3, 5  # presentation contexts of ``REQUEST``
MAX_PDU = 16384

REQUEST = pdu.AssociateRequest(
    "ANY",
    "GUEST",
    tuple(
        pdu.ProposedContext(context_id, sop_class, (EXPLICIT_VR_LITTLE_ENDIAN,))
        for context_id, sop_class in ((STORAGE, CT_IMAGE_STORAGE), (ECHO, VERIFICATION), (FIND, STUDY_ROOT_FIND))
    ),
    MAX_PDU,
)


def message(context_id: int, elements: dict[int, int | bytes], data: bytes = b"") -> bytes:
    """The PDUs of a message; the data set type is added."""
    command = elements | {command_set.DATA_SET_TYPE: 1 if data else command_set.NO_DATA_SET}
    parts = fragment(context_id, True, encode_command_set(dict(sorted(command.items()))), MAX_PDU)
    if data:
        parts += fragment(context_id, False, data, MAX_PDU)
    return b"".join(bytes(part) for part in parts)


def request(command: int, context_id: int, sop_class: str, message_id: int = 1, data: bytes = b"") -> bytes:
    elements: dict[int, int | bytes] = {
        command_set.AFFECTED_SOP_CLASS_UID: sop_class.encode(),
        command_set.COMMAND_FIELD: command,
        command_set.MESSAGE_ID: message_id,
        command_set.PRIORITY: 0,
    }
    return message(context_id, elements, data)


def c_store(one: EncodedInstance, message_id: int = 1, data: bytes | None = None) -> bytes:
    elements: dict[int, int | bytes] = {
        command_set.AFFECTED_SOP_CLASS_UID: one.sop_class_uid.encode(),
        command_set.COMMAND_FIELD: command_set.C_STORE_RQ,
        command_set.MESSAGE_ID: message_id,
        command_set.PRIORITY: 0,
        command_set.AFFECTED_SOP_INSTANCE_UID: one.sop_instance_uid.encode(),
    }
    return message(STORAGE, elements, bytes(one.data) if data is None else data)


def c_echo(message_id: int = 1) -> bytes:
    return request(command_set.C_ECHO_RQ, ECHO, VERIFICATION, message_id)


def c_find(message_id: int, identifier: bytes) -> bytes:
    return request(command_set.C_FIND_RQ, FIND, STUDY_ROOT_FIND, message_id, identifier)


def c_cancel(message_id: int) -> bytes:
    elements: dict[int, int | bytes] = {
        command_set.COMMAND_FIELD: command_set.C_CANCEL_RQ,
        command_set.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
    }
    return message(FIND, elements)


@contextmanager
def associated(port: int, request: pdu.AssociateRequest = REQUEST) -> Iterator[Peer]:
    """A guest whose association was accepted."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as guest:
        peer = Peer(guest, [])
        peer.send(request)
        assert isinstance(peer.receive(), pdu.AssociateAccept)
        yield peer


def answer(peer: Peer) -> tuple[int, int, int]:
    """Command field, message ID and status of the next message; data sets are skipped."""
    while True:
        received = peer.receive()
        assert isinstance(received, pdu.DataTransfer), received
        (value,) = received.values
        if value.is_command:
            elements = decode_command_set(value.data)
            fields = (command_set.COMMAND_FIELD, command_set.MESSAGE_ID_BEING_RESPONDED_TO, command_set.STATUS)
            command, message_id, status = (command_set.number(elements, field) for field in fields)
            return command, message_id, status


def answers(peer: Peer, count: int) -> Sequence[tuple[int, int]]:
    """Message ID and status of each."""
    return [answer(peer)[1:] for _ in range(count)]
