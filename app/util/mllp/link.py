"""One non-blocking TCP or TLS connection that carries MLLP blocks, driven by a selector."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE, BaseSelector
from typing import Any

from app.util.addresses import Resolve, resolve
from app.util.mllp.framing import DEFAULT_LIMIT, Deframer, frame

_RECEIVE = 65_536  # more than a TLS record: nothing stays behind decrypted, where the selector can't see it
_MUST_WAIT = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_IN_PROGRESS = (0, errno.EINPROGRESS)


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to connect to; ``tls`` says what certificates to trust and to show, None means plain TCP.

    ``resolve`` says what addresses the host has; only these are connected to.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    connect_timeout: float = 5.0  # seconds, TLS handshake included
    resolve: Resolve = resolve

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class CouldNotConnect(ConnectionError):
    """No connection to the peer; the text says to whom, why, and what to look at."""

    def __init__(self, peer: Peer, error: Exception) -> None:
        super().__init__(f"could not connect to {peer}: {describe(error)}")


class Link:
    """A connection from its first SYN to its end; it registers itself with the selector, under ``data``.

    Call :meth:`advance` on each event until it is ``ready``, then :meth:`flush` and :meth:`receive`.
    """

    def __init__(self, peer: Peer, selector: BaseSelector, data: object, limit: int = DEFAULT_LIMIT) -> None:
        """Resolve the host's name (which may block) and begin to connect to its first address.

        Raises:
            CouldNotConnect: no address, or every one refused at once.
        """
        self.ready = False
        self._peer = peer
        self._selector = selector
        self._data = data
        self._deframer = Deframer(limit)
        self._unsent = b""
        self._connected = False
        try:
            self._addresses = [*peer.resolve(peer.host, peer.port)]
            self._socket = self._try_next_address()
        except (OSError, UnicodeError) as error:
            raise CouldNotConnect(peer, error) from error
        self._waits_for = EVENT_WRITE
        selector.register(self._socket, EVENT_WRITE, data)

    @property
    def receiving(self) -> bool:
        """Whether a message has begun to come in that has not ended."""
        return self._deframer.inside

    def advance(self) -> None:
        """Go on with connecting and the TLS handshake as far as possible without waiting; sets ``ready`` at the end.

        Raises:
            CouldNotConnect: no address of the host could be connected.
        """
        try:
            if not self._connected and not self._finish_connect():
                return
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._wait_for(EVENT_READ)
        except ssl.SSLWantWriteError:
            self._wait_for(EVENT_WRITE)
        except (OSError, ValueError) as error:  # ValueError: a host that can't be a name in a certificate
            raise CouldNotConnect(self._peer, error) from error
        else:
            self.ready = True
            self._wait_for(EVENT_READ)

    def send(self, message: bytes) -> None:
        """Begin to send a message; what the socket does not take now goes out by :meth:`flush`.

        Raises:
            OSError: the connection is gone.
        """
        self._unsent += frame(message)
        self.flush()

    def flush(self) -> None:
        """Send more of what is unsent. Raises OSError when the connection is gone."""
        if not self._unsent:
            return
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except _MUST_WAIT:
            self._wait_for(EVENT_READ | EVENT_WRITE)
        else:
            self._wait_for(EVENT_READ)

    def receive(self) -> list[bytes]:
        """The messages whose blocks came to their end.

        Raises:
            OSError: the connection is gone, or the peer closed it.
            FrameTooLong: what the peer sends is no reasonable block.
        """
        try:
            chunk = self._socket.recv(_RECEIVE)
        except _MUST_WAIT:
            return []
        if not chunk:
            raise ConnectionResetError(errno.ECONNRESET, "connection closed by the receiver")
        return self._deframer.feed(chunk)

    def close(self) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()

    def _try_next_address(self) -> socket.socket:
        """A socket on its way to the next address that does not refuse at once. Raises OSError when none is left."""
        while True:
            family, kind, protocol, _, address = self._addresses.pop(0)
            try:
                return _begin_to_connect(socket.socket(family, kind, protocol), address)
            except OSError:
                if not self._addresses:
                    raise

    def _finish_connect(self) -> bool:
        """Whether the TCP connection stands; the next address is tried when this one refused."""
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not code:
            self._connected = True
            if self._peer.tls is not None:
                self._replace_socket(self._start_tls(self._peer.tls))
        elif self._addresses:
            self._replace_socket(self._try_next_address())
        else:
            raise OSError(code, os.strerror(code))
        return self._connected

    def _start_tls(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        return context.wrap_socket(self._socket, server_hostname=self._peer.host, do_handshake_on_connect=False)

    def _replace_socket(self, replacement: socket.socket) -> None:
        self._selector.unregister(self._socket)
        self._socket.close()  # nothing happens where TLS took it over
        self._socket = replacement
        self._selector.register(replacement, EVENT_WRITE, self._data)
        self._waits_for = EVENT_WRITE

    def _wait_for(self, events: int) -> None:
        if events != self._waits_for:
            self._selector.modify(self._socket, events, self._data)
            self._waits_for = events


def _begin_to_connect(candidate: socket.socket, address: Any) -> socket.socket:
    candidate.setblocking(False)
    candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = candidate.connect_ex(address)
    if code not in _IN_PROGRESS:
        candidate.close()
        raise OSError(code, os.strerror(code))
    return candidate


def describe(error: Exception) -> str:
    """Why a connection failed, with what to look at where that is clear."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); is its CA in the CA file?"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error}); does the receiver expect TLS, and our certificate?"
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return "host name not known; is it spelled right?"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused; is the receiver running?"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
