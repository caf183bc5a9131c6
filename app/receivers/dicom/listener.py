"""Listening with pynetdicom, begun and ended without waiting, and with room for everybody whatever some peers do.

Of pynetdicom's own ``start_server`` and ``shutdown``: the backlog holds five connections; the end waits up to half a
second for its polling loop; and it aborts associations also in states where that is an error of the state machine, such
as just after a rejection. The end of the connection is an event that every state knows (PS3.8 table 9-10). And its TLS
handshake is done by the thread that accepts, so that one peer that says nothing keeps everybody out.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from socketserver import BaseServer
from typing import Any, Final

import structlog
from pynetdicom import AE, evt
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from app.receivers.dicom.connection import AWAITING_END, AWAITING_REQUEST, PeerLimits, PeerSocket, PeerStateMachine

_POLL_SECONDS: Final = 0.05

log = structlog.get_logger()


class Listener:
    """Accepts associations for an application entity, each in a thread of its own."""

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        handlers: Sequence[tuple[Any, Any]],
        tls: ssl.SSLContext | None = None,
        limits: PeerLimits | None = None,
    ) -> None:
        """Listen and begin to accept; ``port`` is the real one where 0 was asked for.

        Raises:
            OSError: the address can't be listened on.
        """
        self._server = ae.make_server(address, evt_handlers=list(handlers), server_class=_Server)
        self._server.tls = tls
        self._server.limits = limits or PeerLimits()
        self.port = int(self._server.server_address[1])
        polling = {"poll_interval": _POLL_SECONDS}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs=polling, daemon=True)
        self._thread.start()

    @property
    def associations(self) -> list[Any]:
        """pynetdicom's, from the connection on."""
        return list(self._server.active_associations)

    def close(self) -> None:
        """Stop accepting and end every connection."""
        BaseServer.shutdown(self._server)  # its own goes on to remove it from a list that it is not in
        self._thread.join()
        self._server.server_close()
        for assoc in self.associations:
            _cut(assoc.dul.socket.connected)
        self._server.waiting.clear()


class _WaitingRoom:
    """The connections that have not asked for an association yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, None] = {}  # in the order in which they came

    def enter(self, connection: socket.socket, places: int) -> None:
        """Where all places are taken, the one that has waited for longest is cut off."""
        with self._lock:
            while len(self._connections) >= places:
                oldest = next(iter(self._connections))
                del self._connections[oldest]
                _cut(oldest)
            self._connections[connection] = None

    def leave(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.pop(connection, None)

    def clear(self) -> None:
        with self._lock:
            for connection in self._connections:
                _cut(connection)
            self._connections.clear()


class _Handler(RequestHandler):  # type: ignore[misc]
    """Makes an association of a connection, in a thread of the connection's own."""

    def _create_association(self) -> Any:
        assoc = super()._create_association()
        PeerSocket(assoc, self.request, self.server.limits)  # takes the place of pynetdicom's own
        assoc.dul.state_machine = PeerStateMachine(assoc.dul)
        assoc.bind(evt.EVT_REQUESTED, self._on_request)
        assoc.bind(evt.EVT_CONN_CLOSE, self._on_close)
        assoc.run = partial(self._run, assoc.run)
        return assoc

    def _run(self, run: Callable[[], None]) -> None:
        """The association's thread; where a request makes no sense, pynetdicom's ends and leaves the connection."""
        try:
            run()
        except Exception as error:  # it raises many kinds
            log.warning("association ended", reason=repr(error), peer=self.client_address)
            _cut(self.request)

    def _on_request(self, event: Any) -> None:
        self.server.waiting.leave(self.request)

    def _on_close(self, event: Any) -> None:
        self.server.waiting.leave(self.request)
        dul = event.assoc.dul
        if dul.state_machine.current_state in (AWAITING_REQUEST, AWAITING_END):
            # Before there was an association request: pynetdicom would wait on for it, and count itself as one.
            dul.to_user_queue.put(None)


class _Server(ThreadedAssociationServer):  # type: ignore[misc]
    request_queue_size = 256
    daemon_threads = True
    tls: ssl.SSLContext | None
    limits: PeerLimits

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.waiting = _WaitingRoom()
        super().__init__(*arguments, request_handler=_Handler, **named)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # pynetdicom leaves Nagle's algorithm on: small answers would wait for the peer's delayed acknowledgements.
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request.settimeout(self.limits.read.pdu_seconds)
        if self.tls is not None:
            request = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        self.waiting.enter(request, self.limits.waiting)
        try:
            if self.tls is not None:
                request.do_handshake()
            super().finish_request(request, client_address)
        except BaseException:
            self.waiting.leave(request)
            request.close()
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.warning("no association", peer=client_address, reason=str(sys.exc_info()[1]))


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)
