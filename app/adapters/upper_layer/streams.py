"""Bytes to and from a peer with a time limit on everything: over TCP, or over TLS.

Small messages meet Nagle's algorithm on both sides. We turn ours off (TCP_NODELAY); a peer that leaves it on holds back
the second packet of an answer until we acknowledge the first, which Linux may delay by 40 ms, so we ask for immediate
acknowledgement (TCP_QUICKACK) whenever we wait.

Of both kinds ``send`` and ``receive`` raise OSError where the connection is lost, and TimeoutError at their time
limits; after the latter ``receive`` may be called again to go on. It returns no bytes at the end of the connection.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Sequence
from typing import Final, Protocol

from app.dicom.network.pdu import Buffer

_RECEIVE_SIZE: Final = 1 << 14
_GATHER: Final = min(os.sysconf("SC_IOV_MAX"), 1024)  # buffers in one call
_SOON: Final = 1  # seconds: for longer, receiving looks at the clock in between
_TLS_CHUNK: Final = 1 << 18
_QUICKACK: Final = getattr(socket, "TCP_QUICKACK", None)  # Linux only


class Stream(Protocol):
    """A connection of one thread. Deadlines are ``time.monotonic()`` seconds."""

    def handshake(self, deadline: float) -> None:
        """What comes before the first byte; may be called again after a TimeoutError."""
        ...

    def send(self, parts: Sequence[Buffer], deadline: float, stall: float) -> None:
        """Write all parts, in order; no single write may take longer than ``stall`` seconds."""
        ...

    def receive(self, deadline: float) -> bytes:
        """What has come, at least a byte."""
        ...

    def is_quiet(self) -> bool:
        """Nothing waits to be received, not even the end of the connection."""
        ...

    def close(self) -> None: ...


class PlainStream:
    """TCP. What can be done at once takes one system call, and so does waiting for what comes soon.

    Between two calls this thread gives the interpreter up and waits for it again, which costs more than the call.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(True)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _SOON, 0))
        self._socket = connected
        self._readable = _polls(connected, select.POLLIN)
        self._writable = _polls(connected, select.POLLOUT)

    def handshake(self, deadline: float) -> None:
        pass

    def send(self, parts: Sequence[Buffer], deadline: float, stall: float) -> None:
        """Scatter and gather: the kernel reads from the buffers, which are of bytes, where they are."""
        sent = self._send_some(parts)
        if sent < sum(map(len, parts)):
            self._send_rest(list(parts), sent, deadline, stall)

    def receive(self, deadline: float) -> bytes:
        while True:
            _acknowledge_at_once(self._socket)
            remaining = _remaining(deadline)
            if remaining < _SOON and not self._readable.poll(1000 * remaining):
                raise TimeoutError
            try:
                return self._socket.recv(_RECEIVE_SIZE)
            except BlockingIOError:  # nothing came soon
                continue

    def is_quiet(self) -> bool:
        return not self._readable.poll(0)

    def close(self) -> None:
        self._socket.close()

    def _send_some(self, parts: Sequence[Buffer]) -> int:
        try:
            few = parts if len(parts) <= _GATHER else parts[:_GATHER]
            return self._socket.sendmsg(few, (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0

    def _send_rest(self, parts: list[Buffer], sent: int, deadline: float, stall: float) -> None:
        """``sent``: bytes of ``parts`` that are gone."""
        first = 0
        while True:
            while first < len(parts) and sent >= len(parts[first]):
                sent -= len(parts[first])
                first += 1
            if first == len(parts):
                return
            parts[first] = memoryview(parts[first])[sent:]
            if not self._writable.poll(1000 * min(stall, _remaining(deadline))):
                raise TimeoutError
            sent = self._send_some(parts[first : first + _GATHER])


class TlsStream:
    """TLS, whose sockets know how to wait while they read what they need in order to write, and the other way round."""

    def __init__(self, connected: socket.socket, tls: ssl.SSLContext, host: str) -> None:
        self._socket = tls.wrap_socket(connected, server_hostname=host, do_handshake_on_connect=False)
        self._readable = _polls(self._socket, select.POLLIN)

    def handshake(self, deadline: float) -> None:
        """The TLS handshake.

        Raises:
            ssl.SSLCertVerificationError: the peer's certificate is not trusted or names another host.
        """
        self._socket.settimeout(_remaining(deadline))
        self._socket.do_handshake()

    def send(self, parts: Sequence[Buffer], deadline: float, stall: float) -> None:
        """TLS encrypts into buffers of its own, so small parts are joined into few records instead."""
        chunk = bytearray()
        for part in parts:
            chunk += part
            if len(chunk) >= _TLS_CHUNK:
                self._send_all(chunk, deadline, stall)
                chunk.clear()
        self._send_all(chunk, deadline, stall)

    def receive(self, deadline: float) -> bytes:
        _acknowledge_at_once(self._socket)
        self._socket.settimeout(_remaining(deadline))
        return self._socket.recv(_RECEIVE_SIZE)

    def is_quiet(self) -> bool:
        return not self._socket.pending() and not self._readable.poll(0)

    def close(self) -> None:
        self._socket.close()

    def _send_all(self, data: bytearray, deadline: float, stall: float) -> None:
        self._socket.settimeout(min(stall, _remaining(deadline)))
        self._socket.sendall(data)


def _remaining(deadline: float) -> float:
    """Seconds, more than none.

    Raises:
        TimeoutError: there are none.
    """
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError
    return remaining


def _acknowledge_at_once(connected: socket.socket) -> None:
    """What comes next; the kernel falls back to delayed acknowledgements by itself."""
    if _QUICKACK is not None:
        connected.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)


def _polls(connected: socket.socket, events: int) -> select.poll:
    poll = select.poll()
    poll.register(connected, events)
    return poll
