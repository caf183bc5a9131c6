"""Programs that tests start: their output is kept, lines of it can be awaited, and nothing outlives its test."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_RANDOM = random.SystemRandom()  # tests may seed the shared one


class ServiceMissing(RuntimeError):
    """A program that the tests need is not installed; the text says what to install."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed: run `make services`, or: apt-get install {package}")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on.

    It is below those that the system gives to outgoing connections, one of which could have taken it by the time that a
    service listens on it, or starts again.
    """
    while True:
        port = _RANDOM.randrange(15_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(ready: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask until it is so. Raises TimeoutError, naming what did not happen."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(0.02)


class ResidentMemory:
    """Of this process: how much it has grown, in MiB."""

    def __init__(self) -> None:
        self._before = 0.0
        self.begin()

    def begin(self) -> None:
        self._before = resident_mib(os.getpid())

    def growth(self) -> float:
        return round(resident_mib(os.getpid()) - self._before, 2)


def resident_mib(pid: int) -> float:
    """Memory that a process has in use, by the kernel's count of its pages."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def limit_file_size(pid: int, most: int | None, user: str | None = None) -> None:
    """Let a process write no file beyond so many bytes, as if the disk were full there; None: it may again.

    Who runs it may do that without any further right, which a full file system would ask for; ``user`` says who that
    is when it is not the tests' own user (asks for root).
    """
    command = ["prlimit", f"--pid={pid}", f"--fsize={'unlimited' if most is None else most}:"]
    subprocess.run(command, user=user, group=user, extra_groups=[] if user else None, check=True, capture_output=True)


class Program:
    """A running program, in a process group of its own; a context manager that ends it.

    Args:
        command: program and arguments.
        log: file that takes its standard output and error, after what is there.
        environment: all of its environment; the test's own when None.
        user: whom it runs as (asks for root).
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd=log.parent if user else None,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """Everything it has written so far."""
        with self._changed:
            return "".join(self._lines)

    def wait_for_line(self, pattern: str, seconds: float = 30.0) -> re.Match[str]:
        """The first line, past or coming, that the regular expression finds itself in.

        Raises:
            AssertionError: it ended, or the time did, without one; shows the output.
        """
        expression = re.compile(pattern)
        end = time.monotonic() + seconds
        seen = 0
        with self._changed:
            while True:
                for line in self._lines[seen:]:
                    if match := expression.search(line):
                        return match
                seen = len(self._lines)
                left = end - time.monotonic()
                if self._ended or left <= 0:
                    raise AssertionError(f"no line like {pattern!r} from {self.command}:\n{''.join(self._lines)}")
                self._changed.wait(left)

    def wait(self, seconds: float = 30.0) -> int:
        """Its exit code (negative: the signal that ended it), once it has ended and all output was read.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        code = self._process.wait(seconds)
        self._reader.join(seconds)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone; does nothing when it has ended."""
        self._process.send_signal(number)

    def terminate(self, seconds: float = 30.0) -> int:
        """Ask it to end (SIGTERM), and kill it when it does not. Returns its exit code."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        return self.kill()

    def kill(self) -> int:
        """End it and its children (SIGKILL), if it still runs. Returns its exit code."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # the group is ours as long as a member is left
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.terminate()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self.log.open("a") as log, self._process.stdout as output:
            for line in output:
                log.write(line)
                log.flush()
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
