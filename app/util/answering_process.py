"""A child process that answers lines with lines, and whose end is told apart from its being slow."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Protocol

ENDING_SECONDS = 1.0


class ProcessEnded(Exception):
    """It ended before it answered; the text says how."""


class ProcessTooSlow(Exception):
    """It did not answer in time, and was killed."""


class Child(Protocol):
    """What is asked of a process: by ``SpawnedChild``, and by ``app.util.fork_server.ForkedChild``."""

    @property
    def stdin(self) -> IO[bytes]: ...

    @property
    def stdout(self) -> IO[bytes]: ...

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises TimeoutError."""
        ...

    def end(self) -> None:
        """SIGKILL to it and what it started, from any thread; nothing when it has ended."""
        ...

    def close(self) -> None:
        """Close its files, when it has ended."""
        ...


class SpawnedChild:
    """A program of its own."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Raises OSError when it can't be started."""
        # A group of its own: a Ctrl-C is for its parent to act on, and what the child starts can be ended with it.
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            list(command), env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self.stdin = self._process.stdin
        self.stdout = self._process.stdout

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(str(error)) from error

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        for pipe in (self.stdin, self.stdout):
            with suppress(BrokenPipeError):  # what was not written is lost
                pipe.close()


class AnsweringProcess:
    """Used by one thread at a time, but for :meth:`interrupt`.

    The child is to end when its standard input does; then it does not outlive its parent.
    """

    def __init__(self, process: Child) -> None:
        self._process = process
        self._late = False

    @property
    def is_usable(self) -> bool:
        return not self._late and self._process.poll() is None

    def ask(self, line: bytes, seconds: float) -> bytes:
        """The line that it answers this one with; raises as :meth:`receive` does."""
        with self._killed_after(seconds), suppress(BrokenPipeError):  # reading tells how it ended
            self._process.stdin.write(line)
            self._process.stdin.flush()
        return self.receive(seconds)

    def receive(self, seconds: float) -> bytes:
        """The next line.

        Raises:
            ProcessEnded: there is none, and never will be.
            ProcessTooSlow: it took too long.
        """
        with self._killed_after(seconds):
            line = self._process.stdout.readline()
        if line.endswith(b"\n"):
            return line
        with suppress(TimeoutError):  # it may be about to end, and its own way tells more than ours
            self._process.wait(ENDING_SECONDS)
        self.kill()
        if self._late:
            raise ProcessTooSlow(f"no answer within {seconds:g} s")
        raise ProcessEnded(_described(self._process.wait()))

    def interrupt(self) -> None:
        """End it, and what it started, from any thread: the one that waits for it is told so."""
        self._process.end()

    def kill(self) -> None:
        """End it, and what it started."""
        self.interrupt()
        self._process.wait()
        self._process.close()

    @contextmanager
    def _killed_after(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._end_late_one)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end_late_one(self) -> None:
        self._late = True
        self.interrupt()


def _described(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"ended by {signal.Signals(-code).name}"
    except ValueError:  # most real-time signals have no name
        return f"ended by signal {-code}"
