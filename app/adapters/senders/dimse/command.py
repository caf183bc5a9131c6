"""Command sets of the C-STORE service (PS3.7 section 9.3.1) and what their statuses mean (PS3.4 annex B.2.3).

A command set is encoded in Implicit VR Little Endian whatever the presentation context says; every element is of group
0000:

    0000 element[2] length[4] value          all little-endian

    C-STORE-RQ                               C-STORE-RSP
    0000  group length                       0000  group length
    0002  affected SOP class UID             0002  affected SOP class UID
    0100  command field 0001                 0100  command field 8001
    0110  message ID                         0120  message ID being responded to
    0700  priority 0000 (medium)             0800  data set type 0101 (none)
    0800  data set type 0001 (one follows)   0900  status
    1000  affected SOP instance UID          0902  error comment, 1000 affected SOP instance UID
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from app.adapters.senders.dimse.pdu import Buffer, PduError
from app.domain.study import StoreOutcome

AFFECTED_SOP_CLASS_UID = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
PRIORITY = 0x0700
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000

C_STORE_RQ = 0x0001
C_STORE_RSP = 0x8001
NO_DATA_SET = 0x0101

_HEADER = Struct("<HHI")
_US = Struct("<HHIH")
_GROUP_LENGTH = Struct("<HHII")
_SHORT = Struct("<H")

DUPLICATE_SOP_INSTANCE = 0x0111
_OUTCOMES: dict[int, StoreOutcome] = {
    0x0000: "stored",
    0xB000: "warning",  # coercion of data elements
    0xB006: "warning",  # elements discarded
    0xB007: "warning",  # data set does not match SOP class
    DUPLICATE_SOP_INSTANCE: "already_there",
    0x0122: "refused",  # SOP class not supported
}


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """The parameters of a C-STORE-RSP that we use."""

    message_id: int
    status: int
    comment: str


def store_outcome(status: int) -> StoreOutcome:
    """What a C-STORE status means for the instance; a status nobody defined is a failure."""
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if status & 0xFF00 == 0xA700:
        return "out_of_resources"
    if status & 0xFF00 == 0xA900:
        return "refused"
    return "failed"


def encode_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The command set of a C-STORE-RQ with medium priority."""
    body = b"".join(
        (
            _uid(AFFECTED_SOP_CLASS_UID, sop_class_uid),
            _US.pack(0, COMMAND_FIELD, 2, C_STORE_RQ),
            _US.pack(0, MESSAGE_ID, 2, message_id),
            _US.pack(0, PRIORITY, 2, 0),
            _US.pack(0, DATA_SET_TYPE, 2, 1),
            _uid(AFFECTED_SOP_INSTANCE_UID, sop_instance_uid),
        )
    )
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def decode_command_set(data: Buffer) -> dict[int, bytes]:
    """The elements of a command set by element number; of one that comes twice the latter.

    Raises:
        PduError: not a sequence of group 0000 elements.
    """
    return {element: bytes(data[start:end]) for element, start, end in _values(data)}


def value_positions(data: Buffer) -> dict[int, int]:
    """Where the values of a command set begin, by element number.

    Raises:
        PduError: as ``decode_command_set``.
    """
    return {element: start for element, start, _ in _values(data)}


def decode_store_response(data: Buffer) -> StoreResponse:
    """The parameters of a C-STORE-RSP.

    Raises:
        PduError: not a command set, not that of a C-STORE-RSP, without a status, or one that announces a data set.
    """
    elements = decode_command_set(data)
    if _short(elements, COMMAND_FIELD) != C_STORE_RSP:
        raise PduError("an answer that is no C-STORE-RSP")
    if _short(elements, DATA_SET_TYPE) != NO_DATA_SET:
        raise PduError("a C-STORE-RSP that announces a data set")
    comment = elements.get(ERROR_COMMENT, b"").decode("ascii", "replace").strip(" \0")
    return StoreResponse(_short(elements, MESSAGE_ID_BEING_RESPONDED_TO), _short(elements, STATUS), comment)


def _values(data: Buffer) -> Iterator[tuple[int, int, int]]:
    """Element number, and beginning and end of its value, of each element."""
    position = 0
    while position < len(data):
        if position + _HEADER.size > len(data):
            raise PduError("a command set that ends within an element")
        group, element, length = _HEADER.unpack_from(data, position)
        position += _HEADER.size
        if group != 0 or position + length > len(data):
            raise PduError(f"({group:04X},{element:04X}) of {length} bytes in a command set of {len(data)}")
        yield element, position, position + length
        position += length


def _short(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != _SHORT.size:
        raise PduError(f"an answer with {len(value)} bytes in (0000,{element:04X}) where 2 belong")
    return int(_SHORT.unpack(value)[0])


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    value += b"\0" * (len(value) % 2)
    return _HEADER.pack(0, element, len(value)) + value
