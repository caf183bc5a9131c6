"""Programs under measurement: started, watched for memory and CPU, ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
STOP_SECONDS = 60.0


class Measured:
    """A child ``python -m MODULE ARGUMENTS`` whose peak memory and CPU seconds are read from /proc (Linux).

    Its standard input ends when we do. It is in a session of its own: a Ctrl-C is for us to act on.
    """

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "YEETER_LOG_LEVEL": "warning", **(environment or {})},
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.peak_mib: float | None = None
        self._used: float | None = None  # CPU seconds since its start
        self._before = 0.0  # of these, what was used before the measurement

    def __enter__(self) -> Measured:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.look()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def cpu_seconds(self) -> float | None:
        """User and system, since the measurement began; None where there is no /proc."""
        return None if self._used is None else self._used - self._before

    def begin(self) -> None:
        """The measurement begins: the CPU that its start took does not count."""
        self.look()
        self._before = self._used or 0.0

    def look(self) -> None:
        """Read the figures as they are now; the last look before its end is the one that counts."""
        folder = Path("/proc") / str(self._process.pid)
        try:
            status = (folder / "status").read_text()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak_mib = int(line.split()[1]) / 1024
                self._used = (int(fields[11]) + int(fields[12])) / _TICKS
