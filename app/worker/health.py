"""The worker's ``/healthz``: 200 while its threads live, 503 otherwise."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import structlog

from app.runs.work import Worker

log = structlog.get_logger()


@contextmanager
def serve_health(port: int | None, worker: Worker) -> Iterator[None]:
    """Serve on all addresses of the pod while the block runs; nothing when no port is set (0 picks a free one)."""
    if port is None:
        yield
        return
    server = ThreadingHTTPServer(("", port), _handler(worker))
    log.info("health endpoint", port=server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


def _figures(worker: Worker) -> dict[str, Any]:
    return {
        "alive": worker.is_alive,
        "trouble": worker.trouble,
        "running": worker.running,
        "done": worker.jobs_done,
        "isolated": worker.jobs_isolated,
        "hands_lost": worker.hands_lost,
    }


def _handler(worker: Worker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/healthz":
                self.send_error(404)
                return
            body = json.dumps(_figures(worker)).encode()
            self.send_response(200 if worker.is_alive else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug("health", request=format % args)

    return Handler
