"""Programs of this project, started by a fork of a process that has imported them: in milliseconds, not in seconds.

Run as a program it is that process: it reads requests from its standard input, a JSON object a line, writes what
happens to its standard output, and ends its children when its input ends. A child is what ``python -m MODULE`` is: a
process of its own, in a session of its own, with an environment, a log and arguments of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.services.processes import wait_until

ROOT = Path(__file__).resolve().parents[2]
REPLY_SECONDS = 60.0


class Child:
    """A process that was started; it can be signalled as long as it has not ended."""

    def __init__(self, parent: Preloaded, pid: int, log: Path, begin: int) -> None:
        """``begin``: where its part of the log begins."""
        self.pid = pid
        self.log = log
        self.code: int | None = None  # negative: the signal that ended it
        self._parent = parent
        self._begin = begin

    @property
    def running(self) -> bool:
        return self.code is None

    @property
    def output(self) -> str:
        """What it has written so far, and whoever came after it under the same name."""
        if not self.log.exists():  # it has not come so far
            return ""
        with self.log.open("rb") as log:
            log.seek(self._begin)
            return log.read().decode(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Does nothing when it has ended: its parent, which has not buried it yet, sends the signal."""
        self._parent.request({"signal": int(number), "pid": self.pid})

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = 30.0) -> int:
        """Its exit code. Raises TimeoutError while it runs."""
        wait_until(lambda: not self.running, seconds, f"end of process {self.pid}, log in {self.log}")
        assert self.code is not None
        return self.code


class Preloaded:
    """Starts children; a context manager that ends them all."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("a")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.preloaded"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            start_new_session=True,
            text=True,
        )
        self._changed = threading.Condition()
        self._asking = threading.Lock()
        self._writing = threading.Lock()
        self._started: list[int] = []
        self._children: dict[int, Child] = {}
        self._ended: dict[int, int] = {}  # that ended before we knew them
        threading.Thread(target=self._listen, name="preloaded", daemon=True).start()

    def start(self, log: Path, environment: Mapping[str, str], module: str, *arguments: str) -> Child:
        """``python -m MODULE ARGUMENTS`` with this environment; its output goes to the end of ``log``."""
        with self._asking, self._changed:
            begin = log.stat().st_size if log.exists() else 0
            self.request({"module": module, "arguments": arguments, "environment": dict(environment), "log": str(log)})
            if not self._changed.wait_for(lambda: self._started, REPLY_SECONDS):
                raise TimeoutError(f"{module} was not started, log in {self._log.name}")
            child = Child(self, self._started.pop(), log, begin)
            child.code = self._ended.pop(child.pid, None)
            self._children[child.pid] = child
        return child

    def request(self, document: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        line = json.dumps(document) + "\n"
        with self._writing, contextlib.suppress(BrokenPipeError):  # it has ended, and all children with it
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(REPLY_SECONDS)
        self._log.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            news = json.loads(line)
            with self._changed:
                if "started" in news:
                    self._started.append(news["started"])
                elif (child := self._children.pop(news["ended"], None)) is not None:
                    child.code = news["code"]
                else:
                    self._ended[news["ended"]] = news["code"]
                self._changed.notify_all()


# --- the process that forks -------------------------------------------------------------------------------------------


def main() -> None:
    import app.producer.session
    import app.worker.program  # noqa: F401 - what children would import

    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring)
    children: set[int] = set()
    buffer = b""
    while True:
        ready, _, _ = select.select([0, bell], [], [])
        if bell in ready:
            os.read(bell, 4096)
            _bury(children)
        if 0 in ready:
            piece = os.read(0, 65_536)
            if not piece:
                _end(children)
                return
            *lines, buffer = (buffer + piece).split(b"\n")
            for line in lines:
                request = json.loads(line)
                if "module" in request:
                    pid = os.fork()
                    if not pid:
                        os.close(bell)
                        os.close(ring)
                        _become(request)
                        return
                    children.add(pid)
                    _say({"started": pid})
                elif request["pid"] in children:
                    os.kill(request["pid"], request["signal"])


def _become(request: dict[str, Any]) -> None:
    """In the child: be ``python -m MODULE``."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number, file in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
        os.dup2(file, number)
    sys.stdout.reconfigure(line_buffering=True)  # a killed program's last lines are worth reading
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


def _bury(children: set[int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        children.discard(pid)
        _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _end(children: set[int]) -> None:
    """With everything that they have started."""
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


def _say(news: dict[str, int]) -> None:
    sys.stdout.write(json.dumps(news) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
