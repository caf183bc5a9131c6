"""Command sets (PS3.7 section 6.3.1 and annex E) to bytes and back.

A command set is encoded in Implicit VR Little Endian whatever the presentation context says; every element is of group
0000, and the first one counts the bytes of the others:

    0000 element[2] length[4] value          all little-endian
    0000 0000 00000004 group length[4]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct

from app.dicom.network.pdu import Buffer, PduError

AFFECTED_SOP_CLASS_UID = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
PRIORITY = 0x0700
DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000

C_STORE_RQ, C_FIND_RQ, C_ECHO_RQ, C_CANCEL_RQ = 0x0001, 0x0020, 0x0030, 0x0FFF
IS_RESPONSE = 0x8000  # added to the command field of the request
C_STORE_RSP = C_STORE_RQ | IS_RESPONSE
NO_DATA_SET, HAS_DATA_SET = 0x0101, 0x0001  # any other value, too, says that one follows

_HEADER = Struct("<HHI")
_US = Struct("<HHIH")
_GROUP_LENGTH = Struct("<HHII")
_SHORT = Struct("<H")


def encode_command_set(elements: Mapping[int, int | bytes]) -> bytes:
    """A command set of these values, which come in ascending order: whole numbers as US, bytes as UI."""
    body = b"".join(
        [
            _US.pack(0, element, 2, value) if isinstance(value, int) else _uid(element, value)
            for element, value in elements.items()
        ]
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


def number(elements: Mapping[int, bytes], element: int) -> int:
    """The value of a US.

    Raises:
        PduError: it is missing, or no two bytes long.
    """
    value = elements.get(element, b"")
    if len(value) != _SHORT.size:
        raise PduError(f"{len(value)} bytes in (0000,{element:04X}) where 2 belong")
    return int(_SHORT.unpack(value)[0])


def uid(elements: Mapping[int, bytes], element: int) -> str:
    """The value of a UI, without its padding.

    Raises:
        PduError: it is missing, empty, or not ASCII.
    """
    value = elements.get(element, b"").rstrip(b"\0 ")
    if not value or not value.isascii():
        raise PduError(f"no UID in (0000,{element:04X})")
    return value.decode("ascii")


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


def _uid(element: int, value: bytes) -> bytes:
    padding = b"\0" * (len(value) % 2)
    return _HEADER.pack(0, element, len(value) + len(padding)) + value + padding
