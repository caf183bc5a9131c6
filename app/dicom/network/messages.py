"""DIMSE messages put together from the presentation data values of P-DATA-TF PDUs (PS3.8 annex E, PS3.7 section 6.3.1).

    length[4] context control  fragment      control: bit 0 command set (else data set), bit 1 last fragment

A message is a command set in one or more fragments and, where (0000,0800) says so, a data set in one or more; all in
one presentation context, and nothing of another message in between.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from struct import Struct

from app.dicom.network import command_set
from app.dicom.network.command_set import decode_command_set, number
from app.dicom.network.pdu import IS_COMMAND, IS_LAST, Buffer, PduError

_VALUE = Struct(">IBB")
_LENGTH = 4  # bytes of a value that its length does not count


@dataclass(frozen=True, slots=True)
class Message:
    """A message that came whole. The data, empty where there is none, may be part of the PDU that came last."""

    context_id: int
    command: int
    elements: dict[int, bytes]
    data: Buffer

    def kept(self) -> Message:
        """The same, for when that PDU is gone."""
        return replace(self, data=bytes(self.data))


class Assembler:
    """Puts the messages of one association together, one after the other."""

    def __init__(self, contexts: Container[int], longest: int) -> None:
        """``contexts`` were accepted; ``longest`` counts bytes of a message."""
        self._contexts = contexts
        self._longest = longest
        self._reset()

    def messages(self, body: memoryview) -> Iterator[Message]:
        """Those that end in this P-DATA-TF.

        Raises:
            PduError: its values make no messages, or one that is too long.
        """
        if not body:
            raise PduError("a P-DATA-TF without a value")
        position, size = 0, len(body)
        while position < size:
            start = position + _VALUE.size
            if start > size:
                raise PduError("a P-DATA-TF that ends within a value")
            length, context_id, control = _VALUE.unpack_from(body, position)
            position += _LENGTH + length
            if position < start or position > size:
                raise PduError(f"a presentation data value of {length} bytes in a PDU of {size}")
            message = self._take(context_id, control, body[start:position])
            if message is not None:
                yield message

    def _reset(self) -> None:
        self._context_id: int | None = None
        self._elements: dict[int, bytes] | None = None  # of the command set, when it is whole
        self._command = 0
        self._fragments = bytearray()  # of the command set; when that is whole, of the data set
        self._size = 0

    def _take(self, context_id: int, control: int, data: memoryview) -> Message | None:
        """A fragment; the message that ends with it."""
        if self._context_id is None:
            if context_id not in self._contexts:
                raise PduError(f"a message in presentation context {context_id}, which is none")
            self._context_id = context_id
        elif context_id != self._context_id:
            raise PduError(f"presentation context {context_id} in a message of {self._context_id}")
        if (control & IS_COMMAND == 0) is (self._elements is None):
            raise PduError("a data set before its command set, or a command set inside a message")
        self._size += len(data)
        if self._size > self._longest:
            raise PduError(f"a message of more than {self._longest} bytes")
        if not control & IS_LAST:
            self._fragments += data
            return None
        whole: Buffer = data
        if self._fragments:
            self._fragments += data
            whole, self._fragments = self._fragments, bytearray()
        return self._whole(whole)

    def _whole(self, part: Buffer) -> Message | None:
        """A command set or a data set; the message that ends with it."""
        if self._elements is None:
            self._elements = decode_command_set(part)
            self._command = number(self._elements, command_set.COMMAND_FIELD)
            if number(self._elements, command_set.DATA_SET_TYPE) != command_set.NO_DATA_SET:
                return None
            part = b""
        assert self._context_id is not None  # each part of a message has set it
        message = Message(self._context_id, self._command, self._elements, part)
        self._reset()
        return message
