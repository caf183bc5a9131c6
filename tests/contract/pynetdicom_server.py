"""pynetdicom as an SCP: with a longer backlog, without Nagle's algorithm, and with an end that waits for nobody.

Of pynetdicom's own ``start_server`` and ``shutdown``: the backlog holds five connections; the end waits up to half a
second for its polling loop; and it aborts associations also in states where that is an error of the state machine, such
as just after a rejection. The end of the connection is an event that every state knows (PS3.8 table 9-10).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from socketserver import BaseServer
from typing import Any

from pynetdicom import AE
from pynetdicom.transport import ThreadedAssociationServer


class PynetdicomServer:
    """Accepts associations for an application entity on a free port, each in a thread of its own."""

    def __init__(self, ae: AE, handlers: Sequence[tuple[Any, Any]]) -> None:
        self._server = ae.make_server(("127.0.0.1", 0), evt_handlers=list(handlers), server_class=_Server)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop accepting and end every connection."""
        BaseServer.shutdown(self._server)  # its own goes on to remove it from a list that it is not in
        self._thread.join()
        self._server.server_close()
        for assoc in list(self._server.active_associations):
            if assoc.dul.socket.socket is not None:
                with contextlib.suppress(OSError):  # it has ended already
                    assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)


class _Server(ThreadedAssociationServer):  # type: ignore[misc]
    request_queue_size = 256
    daemon_threads = True

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().finish_request(request, client_address)
