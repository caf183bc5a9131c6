"""Listening with pynetdicom, begun and ended without waiting.

Of pynetdicom's own ``start_server`` and ``shutdown``: the backlog holds five connections; the end waits up to half a
second for its polling loop; and it aborts associations also in states where that is an error of the state machine, such
as just after a rejection. The end of the connection is an event that every state knows (PS3.8 table 9-10).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence
from socketserver import BaseServer
from typing import Any, Final

from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

_POLL_SECONDS: Final = 0.05


class _Server(ThreadedAssociationServer):  # type: ignore[misc]
    request_queue_size = 256


class Listener:
    """Accepts associations for an application entity, each in a thread of its own."""

    def __init__(
        self,
        ae: AE,
        address: tuple[str, int],
        handlers: Sequence[tuple[Any, Any]],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen and begin to accept; ``port`` is the real one where 0 was asked for.

        Raises:
            OSError: the address can't be listened on.
        """
        handlers = [(evt.EVT_CONN_OPEN, _set_no_delay), *handlers]
        self._server = ae.make_server(address, ssl_context=tls, evt_handlers=handlers, server_class=_Server)
        self.port = int(self._server.server_address[1])
        polling = {"poll_interval": _POLL_SECONDS}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs=polling, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop accepting and end every connection."""
        BaseServer.shutdown(self._server)  # its own goes on to remove it from a list that it is not in
        self._thread.join()
        self._server.server_close()
        for assoc in self._server.active_associations:
            with contextlib.suppress(OSError, AttributeError):  # it has no socket any more once it has ended
                assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)


def _set_no_delay(event: Any) -> None:
    """pynetdicom leaves Nagle's algorithm on: small answers would wait for the peer's delayed acknowledgements."""
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
