"""moto's server, one request after the other: `python -m tests.services.object_store_server PORT`.

moto keeps an object in a file that the next writer of the same key closes, also under a writer who is still being
answered (500, "I/O operation on closed file"). A bucket has no such moment: a request there has happened or not.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple


def _serve(port: int) -> None:
    whole = DomainDispatcherApplication(create_backend_app)
    turn = threading.Lock()

    def one_by_one(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with turn:
            return [b"".join(whole(environ, start_response))]

    run_simple("127.0.0.1", port, one_by_one, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
