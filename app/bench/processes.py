"""Programs under measurement: started, watched for memory and CPU, ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
STOP_SECONDS = 60.0


class Measured:
    """A child ``python -m MODULE ARGUMENTS`` whose peak memory and CPU seconds are read from /proc (Linux)."""

    def __init__(self, module: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "YEETER_LOG_LEVEL": "warning", **(environment or {})},
            stdin=subprocess.DEVNULL,
        )
        self.peak_mib: float | None = None
        self.cpu_seconds: float | None = None

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

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

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
                self.cpu_seconds = (int(fields[11]) + int(fields[12])) / _TICKS
