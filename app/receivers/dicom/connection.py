"""One peer's connection, read as whole PDUs (PS3.8 section 9.3.1), so that no peer can take what the others need."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.dicom.network.pdu import HEADER, HEADER_SIZE, Buffer, is_pdu_type

_BUFFER: Final = 1 << 16  # bytes; it grows with the PDUs that come
_DRAINED: Final = 64  # buffers
_DRAIN_SECONDS: Final = 2.0

_UNRECOGNIZED, _INVALID_PARAMETER = 1, 6  # reasons of an A-ABORT, PS3.8 section 9.3.8


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """What one peer, or all of them, may take of the receiver."""

    waiting: int = 64  # connections that have not asked for an association; the one that waits longest makes room
    associations: int = 256  # more are rejected as transient
    pipelined: int = 8  # requests that are read while a query before them is answered
    pdu_size: int = 1 << 20  # bytes; what we announce for P-DATA-TF is less
    message_size: int = 1 << 29  # bytes of a message, most of them an instance's
    pdu_seconds: float = 30.0  # from the first byte of a PDU to its last; also for a TLS handshake, and for a write
    request_seconds: float = 30.0  # from the connection to the association request, the ARTIM timer of PS3.8
    idle_seconds: float = 60.0  # between the PDUs of an association


class PeerFault(Exception):
    """The peer broke the rules or the limits. ``reason`` is that of an A-ABORT by the service provider."""

    def __init__(self, text: str, reason: int = 0) -> None:
        super().__init__(text)
        self.reason = reason


class PeerConnection:
    """A connection of one thread. Every method raises OSError when it is lost.

    Its socket has one time limit for all calls, for another one is a system call; longer waits take several.
    """

    def __init__(self, connected: socket.socket, limits: PeerLimits) -> None:
        self._socket = connected
        self._limits = limits
        connected.settimeout(min(limits.pdu_seconds, limits.request_seconds, limits.idle_seconds))
        self._readable = select.poll()
        self._readable.register(connected, select.POLLIN)
        self._buffer = bytearray(_BUFFER)
        self._begin = self._end = 0  # of what was read and not handed out

    def receive(self, seconds: float) -> tuple[int, memoryview] | None:
        """Type and body of the next PDU, valid until the next call; None where the peer has ended the connection.

        Raises:
            TimeoutError: none begins within so many seconds.
            PeerFault: it is none, or too long, or it does not come to its end in time.
        """
        if self._begin == self._end:
            self._begin = self._end = 0
            if not self._read(time.monotonic() + seconds):
                return None
        size, until = HEADER_SIZE, 0.0
        while True:
            there = self._end - self._begin
            if there >= HEADER_SIZE:
                kind, length = HEADER.unpack_from(self._buffer, self._begin)
                size = self._checked(kind, length)
                if there >= size:
                    begin, self._begin = self._begin, self._begin + size
                    return kind, memoryview(self._buffer)[begin + HEADER_SIZE : self._begin]
            until = until or time.monotonic() + self._limits.pdu_seconds
            if not self._read_on(size, until):
                return None

    def has_input(self) -> bool:
        """Whether ``receive`` finds something, be it the end of the connection."""
        if self._begin < self._end or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return True
        return bool(self._readable.poll(0))

    def send(self, parts: Sequence[Buffer]) -> None:
        """Write everything.

        Raises:
            TimeoutError: the peer does not take it in time.
        """
        self._socket.sendall(b"".join(parts))

    def close(self) -> None:
        """Say that nothing more will come, and take for a moment what still comes, though nobody wants it.

        With bytes unread, the end of the connection is a reset, which may take from the peer what it was told last.
        """
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_WR)  # of TLS, too, without a word to its peer
            self._socket.settimeout(_DRAIN_SECONDS)
            until = time.monotonic() + _DRAIN_SECONDS
            for _ in range(_DRAINED):
                self._begin = self._end = 0
                if not self._read(until) or time.monotonic() > until:
                    break
        self._socket.close()

    def _checked(self, kind: int, length: int) -> int:
        """Bytes of the whole PDU."""
        if not is_pdu_type(kind):
            raise PeerFault(f"a PDU of type 0x{kind:02X}", _UNRECOGNIZED)
        if length > self._limits.pdu_size:
            raise PeerFault(f"a PDU of {length} bytes", _INVALID_PARAMETER)
        return HEADER_SIZE + length

    def _make_room(self, size: int) -> None:
        """For a whole PDU, from the buffer's first byte on. What was handed out may still be looked at."""
        if self._begin + size <= len(self._buffer):
            return
        rest = self._buffer[self._begin : self._end]
        if size > len(self._buffer):
            self._buffer = bytearray(size)
        self._buffer[: len(rest)] = rest
        self._begin, self._end = 0, len(rest)

    def _read_on(self, size: int, until: float) -> int:
        """More of a PDU that has so many bytes, and should be whole by then."""
        self._make_room(size)
        with contextlib.suppress(TimeoutError):
            count = self._read(until)
            if time.monotonic() <= until:
                return count
        raise PeerFault("a PDU that comes too slowly")

    def _read(self, until: float) -> int:
        """Bytes that came; none at the end of the connection. Raises TimeoutError where none came by then."""
        target = memoryview(self._buffer)[self._end :]
        while True:
            try:
                count = self._socket.recv_into(target)
            except TimeoutError:
                if time.monotonic() >= until:
                    raise
            else:
                self._end += count
                return count
