"""A TCP or TLS connection that carries PDUs (PS3.8 section 9.3.1), whole ones only, with a time limit on everything."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence
from typing import Final

from app.adapters.upper_layer.streams import PlainStream, Stream, TlsStream
from app.dicom.network.pdu import HEADER, HEADER_SIZE, Buffer, Pdu, decode, is_pdu_type
from app.util.addresses import Resolve, connect, resolve

_LONGEST_PDU: Final = 1 << 20  # bytes of a peer's PDU; it only ever has associations and answers to send


class ConnectionLost(Exception):
    """The connection can't be used any more; the text says what happened."""


class PduConnection:
    """A connection of one thread. All deadlines are ``time.monotonic()`` seconds.

    Every method raises ConnectionLost when the peer closed, reset, stopped reading or sent what is no PDU.
    ``handshake`` and ``receive`` raise TimeoutError when the deadline passed, and may then be called again to go on.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._received = bytearray()  # and not yet handed out

    @classmethod
    def open(
        cls, host: str, port: int, tls: ssl.SSLContext | None, seconds: float, resolve: Resolve = resolve
    ) -> PduConnection:
        """Connect; the TLS handshake is left to ``handshake``.

        Raises:
            ConnectionLost: refused, unreachable, unknown host or no answer within ``seconds``.
        """
        try:
            connected = connect(host, port, max(seconds, 0.001), resolve)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return cls(PlainStream(connected) if tls is None else TlsStream(connected, tls, host))
        except TimeoutError as error:
            raise ConnectionLost(f"no connection within {seconds:.0f} s") from error
        except OSError as error:
            raise ConnectionLost(f"no connection: {error.strerror or error}") from error

    def handshake(self, deadline: float) -> None:
        """The TLS handshake, where there is TLS.

        Raises:
            ssl.SSLCertVerificationError: the peer's certificate is not trusted or names another host.
        """
        try:
            self._stream.handshake(deadline)
        except (TimeoutError, ssl.SSLCertVerificationError):
            raise
        except OSError as error:
            raise ConnectionLost(f"TLS handshake failed: {error.strerror or error}") from error

    def send(self, parts: Sequence[Buffer], deadline: float, stall: float) -> None:
        """Write all parts; no single write may take longer than ``stall`` seconds."""
        try:
            self._stream.send(parts, deadline, stall)
        except TimeoutError as error:
            raise ConnectionLost("the peer stopped reading") from error
        except OSError as error:
            raise ConnectionLost(f"connection lost while sending: {error.strerror or error}") from error

    def receive(self, deadline: float) -> Pdu:
        """The next PDU.

        Raises:
            app.dicom.network.pdu.PduError: it contradicts itself.
        """
        encoded = self.receive_encoded(deadline)
        return decode(encoded[0], encoded[HEADER_SIZE:])

    def receive_encoded(self, deadline: float) -> bytes:
        """All bytes of the next PDU, of which no more is known than that its type exists and its length is right."""
        if not self._received:
            data = self._read(deadline)
            if self._size_of_first(data) == len(data):  # as answers come: no more copies
                return data
            self._received += data
        while True:
            size = self._size_of_first(self._received)
            if size is not None and size <= len(self._received):
                encoded = bytes(self._received[:size])
                del self._received[:size]
                return encoded
            self._received += self._read(deadline)

    def is_quiet(self) -> bool:
        """Nothing came that nobody asked for: no abort, no release request, no end of the connection."""
        return not self._received and self._stream.is_quiet()

    def close(self) -> None:
        self._stream.close()

    def _read(self, deadline: float) -> bytes:
        try:
            data = self._stream.receive(deadline)
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionLost(f"connection lost: {error.strerror or error}") from error
        if not data:
            raise ConnectionLost("the peer closed the connection")
        return data

    def _size_of_first(self, data: bytes | bytearray) -> int | None:
        """Bytes of the PDU that ``data`` begins with, its header included; None while that is not known."""
        if len(data) < HEADER_SIZE:
            return None
        kind, length = HEADER.unpack_from(data)
        if not is_pdu_type(kind):
            raise ConnectionLost(f"what came back is not DICOM; it begins with {bytes(data[:24])!r}")
        if length > _LONGEST_PDU:
            raise ConnectionLost(f"the peer announced a PDU of {length} bytes")
        return HEADER_SIZE + int(length)
