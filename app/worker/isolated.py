"""Runs the jobs that its parent, a worker, does not trust (``app.runs.working.isolation``).

A worker program forks it; workers in other programs start ``python -m app.worker.isolated``.

A job is a line on standard input, its outcome a line on standard output. It ends with its standard input, in the middle
of a job too: a parent that is gone can't write what would come of it.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from typing import IO

from app.bootstrap import bootstrap
from app.runs.working.isolation import ANSWERS, READY, REQUESTS
from app.settings import Settings, load_settings
from app.util.logs import configure_logs


def main() -> None:
    settings = load_settings()
    configure_logs(settings.log_level, settings.log_format)
    run_isolated(settings)


def run_isolated(settings: Settings) -> None:
    """Never returns."""
    answers = _own_standard_output()
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests,), name="requests", daemon=True).start()
    with bootstrap(settings) as bundle:
        _say(answers, READY)
        while True:
            request = REQUESTS.validate_json(requests.get())
            runner = bundle.isolated_runner(request.worker)
            finish = runner.begin(request.job, request.claim).run()
            assert finish is not None  # nothing here can keep it from beginning
            _say(answers, ANSWERS.dump_json(finish) + b"\n")


def _own_standard_output() -> IO[bytes]:
    """What steps of others print must not get between the answers: it goes where the log goes."""
    own = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(own, "wb")


def _read(requests: queue.SimpleQueue[bytes]) -> None:
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _say(answers: IO[bytes], line: bytes) -> None:
    answers.write(line)
    answers.flush()


if __name__ == "__main__":
    main()
