"""How a receiver program begins and ends: the ready line, the signals, and the end of whoever started it.

with stop_on_signals(until_eof=options.until_eof) as stop:
    server.start()
    announce_ready("mllp", host, port)
    stop.wait()
    server.close()
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import structlog

log = structlog.get_logger()

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_SIGNALLED = b"s"
_LEFT = b"l"


def announce_ready(receiver: str, host: str, port: int) -> None:
    """Tell whoever started this program that it accepts connections: the first line of stdout, and a log line.

    ``{"receiver": "mllp", "host": "127.0.0.1", "port": 2575}``; the port is the real one where 0 was asked for.
    """
    sys.stdout.write(json.dumps({"receiver": receiver, "host": host, "port": port}) + "\n")
    sys.stdout.flush()
    log.info(f"{receiver} receiver is ready", host=host, port=port)


@contextmanager
def stop_on_signals(*, until_eof: bool = False) -> Iterator[threading.Event]:
    """An event that is set by SIGTERM or SIGINT and, with ``until_eof``, when stdin ends.

    A parent that holds the other end of stdin never leaves an orphan: however it dies, its end of the pipe closes. Only
    for the main thread (signal handlers are set there); the earlier handlers come back on leaving.
    """
    stop = threading.Event()
    reading, writing = os.pipe()

    def note(signum: int, frame: FrameType | None) -> None:
        # Not stop.set(): the interrupted main thread may hold the event's own lock. A pipe needs no lock.
        os.write(writing, _SIGNALLED)

    watcher = threading.Thread(target=_watch, args=(stop, reading, until_eof), name="stop-watcher", daemon=True)
    earlier = {signum: signal.signal(signum, note) for signum in STOP_SIGNALS}
    watcher.start()
    try:
        yield stop
    finally:
        for signum, handler in earlier.items():
            signal.signal(signum, handler)
        os.write(writing, _LEFT)
        watcher.join()
        os.close(reading)
        os.close(writing)


def _watch(stop: threading.Event, reading: int, until_eof: bool) -> None:
    stdin = sys.stdin.fileno() if until_eof else None
    watched = [reading] if stdin is None else [reading, stdin]
    while True:
        readable, _, _ = select.select(watched, [], [])
        if reading in readable:
            if os.read(reading, 1) == _LEFT:
                return
            stop.set()
        elif stdin is not None and not os.read(stdin, 4096):
            watched.remove(stdin)
            stop.set()
