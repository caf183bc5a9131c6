"""A few paths that tell how a program is: for probes and for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog

log = structlog.get_logger()

Answer = Callable[[], tuple[int, str, bytes]]  # status, content type, body


@contextmanager
def serve_status(port: int | None, routes: Mapping[str, Answer]) -> Iterator[None]:
    """Serve on all addresses of the pod while the block runs; nothing when no port is set (0 picks a free one).

    Raises:
        OSError: the port is taken, or not ours to take; says so.
    """
    if port is None:
        yield
        return
    try:
        server = ThreadingHTTPServer(("", port), _handler(routes))
    except OSError as error:
        raise OSError(f"port {port} of the health endpoint can't be listened on: {error.strerror}") from error
    log.info("health endpoint", port=server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, name="status", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _handler(routes: Mapping[str, Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = routes.get(self.path)
            if answer is None:
                self.send_error(404)
                return
            status, content_type, body = answer()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug("status", request=format % args)

    return Handler
