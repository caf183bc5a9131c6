"""Workers of one run: ``python -m app.worker`` child processes that start and end with it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from app.cli.output import note
from app.util.child_programs import ChildPrograms

STOP_SECONDS = 10.0  # beyond the workers' own grace period


class WorkerProcesses:
    """A context manager around so many workers of these queues."""

    def __init__(self, count: int, queues: Sequence[str], grace: float) -> None:
        # Any port for /healthz: a fixed one would serve the first worker only.
        programs = ChildPrograms(
            {"YEETER_LOG_LEVEL": "warning"} | os.environ | {"YEETER_WORKER_HEALTH_PORT": "0"},
        )
        self._grace = grace
        # Ctrl-C is for the run, which still needs its workers while it drains.
        self._running = [programs.start("app.worker", "--queues", ",".join(queues)) for _ in range(count)]

    def report_ended(self) -> None:
        """Tell of workers that ended by themselves, each once."""
        for process in [process for process in self._running if process.poll() is not None]:
            self._running.remove(process)
            note(f"a worker ended with code {process.returncode}; {len(self._running)} left", style="yellow")

    def kill(self) -> None:
        """End them at once; their messages go back to the queue."""
        for process in self._running:
            with suppress(ProcessLookupError):
                process.kill()

    def __enter__(self) -> WorkerProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._running:
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._grace + STOP_SECONDS
        try:
            for process in self._running:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(end - time.monotonic(), 0.1))
        finally:  # also when an impatient person interrupts the wait
            self.kill()
