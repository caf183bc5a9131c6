"""A TCP or TLS connection that carries PDUs: gathered writes, buffered reads, and a time limit on everything.

Small messages meet Nagle's algorithm on both sides. We turn ours off (TCP_NODELAY); a peer that leaves it on holds back
the second packet of an answer until we acknowledge the first, which Linux may delay by 40 ms, so we ask for immediate
acknowledgement (TCP_QUICKACK) whenever we wait.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import time
from collections.abc import Sequence

from app.adapters.senders.dimse.pdu import HEADER, HEADER_SIZE, Buffer, Pdu, decode, is_pdu_type
from app.util.addresses import Resolve, connect, resolve

_RECEIVE_SIZE = 1 << 16
_LONGEST_PDU = 1 << 20  # of a peer's PDU; it only ever has associations and C-STORE-RSPs to send
_GATHER = min(os.sysconf("SC_IOV_MAX"), 1024)
_TLS_CHUNK = 1 << 18
_QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class ConnectionLost(Exception):
    """The connection can't be used any more; the text says what happened."""


class PduConnection:
    """A connection of one thread. All deadlines are ``time.monotonic()`` seconds.

    Every method raises ConnectionLost when the peer closed, reset, stopped reading or sent what is no PDU.
    ``handshake`` and ``receive`` raise TimeoutError when the deadline passed, and may then be called again to go on.
    """

    def __init__(self, connected: socket.socket, tls: ssl.SSLContext | None, host: str) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._secure = tls is not None
        self._socket = connected
        if tls is not None:
            self._socket = tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)

    @classmethod
    def open(
        cls, host: str, port: int, tls: ssl.SSLContext | None, seconds: float, resolve: Resolve = resolve
    ) -> PduConnection:
        """Connect; the TLS handshake is left to ``handshake``.

        Raises:
            ConnectionLost: refused, unreachable, unknown host or no answer within ``seconds``.
        """
        try:
            return cls(connect(host, port, max(seconds, 0.001), resolve), tls, host)
        except TimeoutError as error:
            raise ConnectionLost(f"no connection within {seconds:.0f} s") from error
        except OSError as error:
            raise ConnectionLost(f"no connection: {error.strerror or error}") from error

    def handshake(self, deadline: float) -> None:
        """The TLS handshake, where there is TLS.

        Raises:
            ssl.SSLCertVerificationError: the peer's certificate is not trusted or names another host.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            self._limit(deadline)
            try:
                self._socket.do_handshake()
            except (TimeoutError, ssl.SSLCertVerificationError):
                raise
            except OSError as error:
                raise ConnectionLost(f"TLS handshake failed: {error.strerror or error}") from error

    def send(self, parts: Sequence[Buffer], deadline: float, stall: float) -> None:
        """Write all parts; no single write may take longer than ``stall`` seconds."""
        try:
            if self._secure:
                self._send_copied(parts, deadline, stall)
            else:
                self._send_gathered(parts, deadline, stall)
        except TimeoutError as error:
            raise ConnectionLost("the peer stopped reading") from error
        except OSError as error:
            raise ConnectionLost(f"connection lost while sending: {error.strerror or error}") from error

    def receive(self, deadline: float) -> Pdu:
        """The next PDU.

        Raises:
            app.adapters.senders.dimse.pdu.PduError: it contradicts itself.
        """
        while True:
            if len(self._received) >= HEADER_SIZE:
                kind, length = HEADER.unpack_from(self._received)
                self._check_header(kind, length)
                end = HEADER_SIZE + length
                if len(self._received) >= end:
                    body = bytes(self._received[HEADER_SIZE:end])
                    del self._received[:end]
                    return decode(kind, body)
            self._fill(deadline)

    def is_quiet(self) -> bool:
        """Nothing came that nobody asked for: no abort, no release request, no end of the connection."""
        if self._received or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._socket.close()

    def _send_gathered(self, parts: Sequence[Buffer], deadline: float, stall: float) -> None:
        """Scatter and gather: the kernel reads from the buffers where they are."""
        waiting = list(parts)
        first = 0
        while first < len(waiting):
            self._limit(min(deadline, time.monotonic() + stall))
            sent = self._socket.sendmsg(waiting[first : first + _GATHER])
            while first < len(waiting) and sent >= len(waiting[first]):
                sent -= len(waiting[first])
                first += 1
            if sent:
                waiting[first] = memoryview(waiting[first])[sent:]

    def _send_copied(self, parts: Sequence[Buffer], deadline: float, stall: float) -> None:
        """TLS encrypts into buffers of its own, so small parts are joined into few records instead."""
        chunk = bytearray()
        for part in parts:
            chunk += part
            if len(chunk) >= _TLS_CHUNK:
                self._send_all(chunk, deadline, stall)
                chunk.clear()
        self._send_all(chunk, deadline, stall)

    def _send_all(self, data: bytearray, deadline: float, stall: float) -> None:
        self._limit(min(deadline, time.monotonic() + stall))
        self._socket.sendall(data)

    def _fill(self, deadline: float) -> None:
        if _QUICKACK is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        self._limit(deadline)
        try:
            data = self._socket.recv(_RECEIVE_SIZE)
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionLost(f"connection lost: {error.strerror or error}") from error
        if not data:
            raise ConnectionLost("the peer closed the connection")
        self._received += data

    def _limit(self, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._socket.settimeout(remaining)

    def _check_header(self, kind: int, length: int) -> None:
        if not is_pdu_type(kind):
            raise ConnectionLost(f"what came back is not DICOM; it begins with {bytes(self._received[:24])!r}")
        if length > _LONGEST_PDU:
            raise ConnectionLost(f"the peer announced a PDU of {length} bytes")
