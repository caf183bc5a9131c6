"""Messages cut into P-DATA-TF PDUs (PS3.8 section 9.3.5, annex E) of one presentation data value each:

 0  04 00 length[4]                      P-DATA-TF
 6  length[4] context control            the value: bit 0 of control for a command set, bit 1 for a last fragment
12  ..                                   bytes of the message
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from app.dicom.network.pdu import IS_COMMAND, IS_LAST, Buffer, DataTransfer, PduError

DATA_HEADER = Struct(">BxIIBB")  # PDU header and value header of a P-DATA-TF with one value

_VALUE_OVERHEAD: Final = 6  # the value's own length, context and message control header
_UNLIMITED_CHUNK: Final = 1 << 20  # bytes that we put in one PDU for a peer that sets no limit


def fragment(context_id: int, is_command: bool, data: Buffer, max_pdu: int) -> list[Buffer]:
    """A command set or data set as P-DATA-TF PDUs of one value each, ready to be gathered: header, data, header, data.

    The data is sliced, never copied: give a memoryview. ``max_pdu`` is what the peer said, 0 for no limit.

    Raises:
        PduError: the peer's limit leaves no room for data.
    """
    limit = room(max_pdu)
    control = IS_COMMAND if is_command else 0
    size = len(data)
    if size <= limit:
        return [data_header(context_id, control | IS_LAST, size), data]
    last = (size - 1) // limit * limit
    parts: list[Buffer] = [data_header(context_id, control, limit)] * (2 * last // limit)
    parts[1::2] = [data[start : start + limit] for start in range(0, last, limit)]
    parts += (data_header(context_id, control | IS_LAST, size - last), data[last:])
    return parts


def room(max_pdu: int) -> int:
    """Bytes of a message that fit one PDU.

    Raises:
        PduError: none do.
    """
    limit = max_pdu - _VALUE_OVERHEAD if max_pdu else _UNLIMITED_CHUNK
    limit -= limit % 2  # a fragment has an even length
    if limit <= 0:
        raise PduError(f"the peer takes PDUs of at most {max_pdu} bytes, which leaves no room for data")
    return limit


def data_header(context_id: int, control: int, size: int) -> bytes:
    """What comes before ``size`` bytes of a message."""
    return DATA_HEADER.pack(DataTransfer.TYPE, size + _VALUE_OVERHEAD, size + 2, context_id, control)
