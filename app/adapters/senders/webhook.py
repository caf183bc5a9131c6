"""Webhooks over HTTP: one POST, to an address that was checked, within one time limit for all of it.

``http.client`` on a connection of our own: that one goes to the address that ``resolve`` judged, no proxy and no
redirect leads elsewhere, and it can be cut off when the time is over, however slowly the other side goes on answering.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from app.domain.errors import Unavailable
from app.domain.webhook import Webhook
from app.util.addresses import Resolve, connect, resolve

_FAULTS = (OSError, HTTPException, ValueError)  # the last one of a name that is none, or of a socket that was cut off


class HttpWebhookSender:
    """An :class:`app.ports.WebhookSender`. Of an answer nothing but its status is read."""

    def __init__(self, tls: ssl.SSLContext | None = None, resolve: Resolve = resolve) -> None:
        """``tls``: what certificates are checked against; None: the system's CAs."""
        self._tls = tls or ssl.create_default_context()
        self._resolve = resolve

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        seconds, until = webhook.timeout, time.monotonic() + webhook.timeout
        try:
            connected = self._connected(webhook)
            with closing(self._secured(connected, webhook)) as connection, _cut_off(connection, until):
                return self._ask(connection, webhook, body, headers)
        except TimeoutError as error:
            raise Unavailable(f"no answer within {seconds:g} s") from error
        except _FAULTS as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Unavailable(reason) from error

    def _connected(self, webhook: Webhook) -> socket.socket:
        """Each address of the host has an equal share of the time; behind that the cut-off is the only time limit."""
        found = self._resolve(webhook.host, webhook.port)
        connected = connect(webhook.host, webhook.port, webhook.timeout / max(len(found), 1), lambda *_: found)
        connected.settimeout(None)
        return connected

    def _secured(self, connected: socket.socket, webhook: Webhook) -> socket.socket:
        """The handshake is left to the time limit that begins then."""
        if not webhook.secure:
            return connected
        return self._tls.wrap_socket(connected, server_hostname=webhook.host, do_handshake_on_connect=False)

    def _ask(self, connection: socket.socket, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        if isinstance(connection, ssl.SSLSocket):
            connection.do_handshake()
            http: HTTPConnection = HTTPSConnection(webhook.host, webhook.port, context=self._tls)
        else:
            http = HTTPConnection(webhook.host, webhook.port)
        http.sock = connection
        http.request("POST", webhook.target, body, {**webhook.headers, **headers})
        return http.getresponse().status


@contextmanager
def _cut_off(connection: socket.socket, until: float) -> Iterator[None]:
    """Whatever is done with the connection ends by then (``time.monotonic()`` seconds), with TimeoutError."""
    over = threading.Event()

    def cut() -> None:
        over.set()
        with suppress(OSError):
            # Of the socket itself: TLS would first take leave of the other side.
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(max(until - time.monotonic(), 0.0), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except _FAULTS as error:
        if over.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
    if over.is_set():  # half a status line, and then the end, is taken for an answer
        raise TimeoutError
