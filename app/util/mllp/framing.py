"""MLLP blocks: 0x0B before a message and 0x1C 0x0D after it (HL7 Transport Specification: MLLP, release 1).

TCP keeps no blocks apart: one may arrive in many pieces, and several in one piece.
"""

from __future__ import annotations

START = b"\x0b"
END = b"\x1c\x0d"
DEFAULT_LIMIT = 1 << 20

_BETWEEN_BLOCKS = b"\r\n"  # some senders end a block with another line end; it means nothing


class FrameTooLong(ValueError):
    """A block grew beyond its limit without an end; the stream can't be followed any further."""


def frame(message: bytes) -> bytes:
    """The message as a block. A message must not hold 0x0B or 0x1C; HL7 escapes them as ``\\X0B\\`` and ``\\X1C\\``."""
    return b"\x0b%b\x1c\x0d" % message


class Deframer:
    """Cuts a stream of bytes into messages.

    Bytes outside of blocks are skipped, and counted in ``skipped``; line ends are not counted. ``limit``
    is the largest message in bytes; little more is kept between calls.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self.skipped = 0
        self._limit = limit
        self._partial = bytearray()  # of a block, without its 0x0B
        self._inside = False

    @property
    def inside(self) -> bool:
        """Whether a block has begun that has not ended."""
        return self._inside

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that end in this chunk, in order.

        Raises:
            FrameTooLong: the block is longer than the limit. The deframer is of no more use.
        """
        if self._is_one_block(chunk):
            return [chunk[1:-2]]
        messages = []
        position = 0
        while position < len(chunk):
            if not self._inside:
                position = self._find_start(chunk, position)
                continue
            message, position = self._find_end(chunk, position)
            if message is not None:
                messages.append(message)
        return messages

    def _is_one_block(self, chunk: bytes) -> bool:
        """Whether nothing has begun and the chunk is one block from end to end, as almost every chunk is."""
        return (
            not self._inside
            and chunk[:1] == START
            and len(chunk) - 3 <= self._limit
            and 1 <= chunk.find(END, 1) == len(chunk) - 2
        )

    def _find_start(self, chunk: bytes, position: int) -> int:
        start = chunk.find(START, position)
        self._inside = start >= 0
        before = chunk[position:] if start < 0 else chunk[position:start]
        if before:
            self.skipped += len(before.translate(None, delete=_BETWEEN_BLOCKS))
        return len(chunk) if start < 0 else start + 1

    def _find_end(self, chunk: bytes, position: int) -> tuple[bytes | None, int]:
        """The message if the block ends in the chunk, and the position after what was read."""
        if self._partial.endswith(END[:1]) and chunk.startswith(END[1:], position):
            self._partial.pop()
            message, self._partial = bytes(self._partial), bytearray()
            after = position + 1
        else:
            end = chunk.find(END, position)
            read = len(chunk) if end < 0 else end
            unfinished = 1 if end < 0 else 0  # its last byte may be the 0x1C
            if len(self._partial) + read - position > self._limit + unfinished:
                raise FrameTooLong(f"no end of block within {self._limit} bytes")
            if end < 0:
                self._partial += memoryview(chunk)[position:]
                return None, read
            message = bytes(self._partial) + chunk[position:end] if self._partial else chunk[position:end]
            self._partial.clear()
            after = end + len(END)
        self._inside = False
        return message, after
