"""Built-in receivers as child processes: programs of their own, so that what they have was taken from the wire."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal

from app.domain.errors import Unavailable

START_SECONDS = 30.0
STOP_SECONDS = 5.0


class BuiltInReceiver:
    """A context manager around ``python -m app.receivers``; it ends with us, however we end (its stdin closes).

    ``ledger``: the file in which what it has outlives it; the next receiver that gets this file goes on from there.
    """

    def __init__(self, kind: Literal["mllp", "dicom"], ledger: Path | None = None) -> None:
        self._kind = kind
        command = [sys.executable, "-m", "app.receivers", kind, "--host", "127.0.0.1", "--port", "0", "--until-eof"]
        if ledger is not None:
            ledger.parent.mkdir(parents=True, exist_ok=True)
            command += ["--ledger", str(ledger)]
        # A process group of its own: Ctrl-C is for the run, which still needs its receivers while it drains.
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self.port = 0

    def __enter__(self) -> BuiltInReceiver:
        assert self._process.stdout is not None
        timer = threading.Timer(START_SECONDS, self._process.kill)
        timer.start()
        line = self._process.stdout.readline()
        timer.cancel()
        if not line:
            self._stop()
            raise Unavailable(f"the built-in {self._kind} receiver did not start")
        self.port = int(json.loads(line)["port"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
