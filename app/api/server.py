"""``yeeter serve``: the API on uvicorn."""

from __future__ import annotations

import ipaddress
import signal
import socket
import time

import structlog
import uvicorn

from app.api.application import create_app
from app.bootstrap import Bundle, bootstrap, prepare_database
from app.domain.errors import InvalidInput, Problem, Unavailable
from app.settings import Settings

log = structlog.get_logger()

RETRY = 2.0  # seconds between looks at a database that is away
BACKLOG = 2048  # connections that wait to be accepted
CLOSING = 5  # seconds that open connections get when the server stops


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; then this server's runs are left to other replicas, or to its next start.

    Raises:
        InvalidInput: the address can't be bound to, or another setting can't be used.
    """
    listener = _bind(settings)
    with listener, bootstrap(settings) as bundle:
        _prepare(bundle)
        config = uvicorn.Config(
            create_app(bundle),
            log_config=None,  # the standard library's loggers are set up already
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSING,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _ignore)  # uvicorn's own come before; it raises the signal again when it has stopped
        listener.listen(BACKLOG)  # before it is said: from then on connections wait instead of being refused
        log.info("serving", url=_url(listener))
        uvicorn.Server(config).run(sockets=[listener])
        log.info("stopped serving")


def _prepare(bundle: Bundle) -> None:
    while True:
        try:
            prepare_database(bundle)
            return
        except Unavailable as error:
            log.warning("waiting for the database", reason=str(error))
            time.sleep(RETRY)


def _ignore(signum: int, frame: object) -> None:
    """The server has stopped already; what is left is to close in order."""


def _bind(settings: Settings) -> socket.socket:
    """A bound socket; where no tokens are asked for only of a loopback address, so that nobody else reaches it."""
    host, port = settings.host, settings.port
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise InvalidInput(
            Problem("YEETER_HOST", f"{host!r} is no address of this machine", "use 127.0.0.1")
        ) from error
    if settings.tokens_file is None and not ipaddress.ip_address(address[0]).is_loopback:
        problem = (
            f"{host} is not a loopback address, and without tokens everybody who reaches the API may do everything"
        )
        cure = "make tokens with `yeeter tokens create` and set YEETER_TOKENS_FILE, or bind to 127.0.0.1"
        raise InvalidInput(Problem("YEETER_HOST", problem, cure))
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        problem = f"port {port} of {host} can't be bound to: {error.strerror}"
        raise InvalidInput(Problem("YEETER_PORT", problem, "choose another one; 0 takes any that is free")) from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
