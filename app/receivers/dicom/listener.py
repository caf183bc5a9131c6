"""Listening, with room for everybody whatever some peers do: a thread a connection, begun and ended without waiting."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from app.receivers.dicom.connection import PeerLimits

_BACKLOG: Final = 256  # connections that may wait to be accepted
_OUT_OF_RESOURCES_SECONDS: Final = 0.1  # to wait before the next attempt to accept
_CLOSING_SECONDS: Final = 5.0  # for the threads to end

log = structlog.get_logger()


class Guests:
    """The connections that are open. Thread-safe.

    Those that have not asked for an association yet do not count as associations, and have places of their own.
    """

    def __init__(self, limits: PeerLimits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._waiting: dict[socket.socket, None] = {}  # in the order in which they came
        self._associated: set[socket.socket] = set()

    def enter(self, connection: socket.socket) -> None:
        """Where all places are taken, the one that has waited for longest is cut off."""
        with self._lock:
            while len(self._waiting) >= self._limits.waiting:
                oldest = next(iter(self._waiting))
                del self._waiting[oldest]
                _cut(oldest)
            self._waiting[connection] = None

    def associate(self, connection: socket.socket) -> bool:
        """Whether there is a place for another association, which is this one's then."""
        with self._lock:
            self._waiting.pop(connection, None)
            if len(self._associated) >= self._limits.associations:
                return False
            self._associated.add(connection)
            return True

    def leave(self, connection: socket.socket) -> None:
        with self._lock:
            self._waiting.pop(connection, None)
            self._associated.discard(connection)

    def cut_all(self) -> None:
        with self._lock:
            for connection in (*self._waiting, *self._associated):
                _cut(connection)


class Listener:
    """Accepts connections; each is served in a thread of its own."""

    def __init__(
        self,
        address: tuple[str, int],
        serve: Callable[[socket.socket, Any], None],
        guests: Guests,
        limits: PeerLimits,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen and begin to accept; ``port`` is the real one where 0 was asked for.

        ``serve`` gets the connection and the peer's address, and returns at its end.

        Raises:
            OSError: the address can't be listened on.
        """
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._socket = socket.create_server(address, family=family, backlog=_BACKLOG)
        self.port = int(self._socket.getsockname()[1])
        self._serve = serve
        self._guests = guests
        self._limits = limits
        self._tls = tls
        self._threads: set[threading.Thread] = set()
        self._closing, self._close = socket.socketpair()
        self._thread = threading.Thread(target=self._accept_all, name="dicom-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop accepting and end every connection."""
        self._close.close()
        self._thread.join()
        self._socket.close()
        self._closing.close()
        self._guests.cut_all()
        until = time.monotonic() + _CLOSING_SECONDS
        for thread in list(self._threads):
            thread.join(max(until - time.monotonic(), 0))

    def _accept_all(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(self._closing, select.POLLIN)
        while self._closing.fileno() not in dict(poll.poll()):
            try:
                connection, peer = self._socket.accept()
            except OSError as error:  # the peer is gone already, or too many files are open
                log.warning("no connection", reason=str(error))
                time.sleep(_OUT_OF_RESOURCES_SECONDS)
                continue
            try:
                self._begin(connection, peer)
            except (OSError, RuntimeError) as error:  # gone again, or too many threads
                log.warning("no association", peer=peer, reason=str(error))
                self._guests.leave(connection)
                connection.close()

    def _begin(self, connection: socket.socket, peer: Any) -> None:
        # Small answers would wait for the peer's delayed acknowledgements.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self._limits.pdu_seconds)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self._guests.enter(connection)
        thread = threading.Thread(target=self._run, args=(connection, peer), name="dicom-association", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _run(self, connection: socket.socket, peer: Any) -> None:
        try:
            if isinstance(connection, ssl.SSLSocket):
                connection.do_handshake()
            self._serve(connection, peer)
        except OSError as error:
            log.warning("no association", peer=peer, reason=str(error))
        except Exception:
            log.exception("association ended", peer=peer)
        finally:
            self._guests.leave(connection)
            connection.close()
            self._threads.discard(threading.current_thread())


def _cut(connection: socket.socket) -> None:
    """Whoever reads or writes it finds its end. Of TLS, too, the connection below, while its thread uses it."""
    with contextlib.suppress(OSError):  # it has ended already
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
