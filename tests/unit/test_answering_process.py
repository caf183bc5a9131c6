"""A child that answers lines with lines: its end, its slowness and its children are dealt with.

Both ways of making children pass the same tests: a program of its own, and a fork of a process without threads.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import ClassVar

import pytest

from app.util.answering_process import AnsweringProcess, ProcessEnded, ProcessTooSlow, SpawnedChild
from app.util.fork_server import ForkServer
from tests.services.processes import wait_until

ECHO = """
import os, signal, subprocess, sys, time
for line in sys.stdin:
    match line.split():
        case ["exit", code]: os._exit(int(code))
        case ["die"]: os.kill(os.getpid(), signal.SIGKILL)
        case ["sleep"]: time.sleep(600)
        case ["deaf"]: print("DEAF", flush=True); time.sleep(600)
        case ["half"]: os.write(1, b"half a li"); os._exit(0)
        case ["parent"]: print(subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL).pid, flush=True)
        case _: print(line.strip().upper(), flush=True)
"""


class ForkingProcess(BaseManager):
    """A process that has a fork server, as this one can't: it has threads. Its children are used from here."""


class Forked:
    """A child over there."""

    server: ClassVar[ForkServer]

    @classmethod
    def prepare(cls) -> None:
        cls.server = ForkServer(lambda: exec(ECHO, {}))

    def __init__(self) -> None:
        self._child = AnsweringProcess(self.server.start())

    def ask(self, line: bytes, seconds: float) -> bytes:
        return self._child.ask(line, seconds)

    def interrupt(self) -> None:
        self._child.interrupt()

    def kill(self) -> None:
        self._child.kill()

    def usable(self) -> bool:
        return self._child.is_usable


class Spawned(Forked):
    """A child of this process."""

    def __init__(self) -> None:
        self._child = AnsweringProcess(SpawnedChild([sys.executable, "-c", ECHO], dict(os.environ)))


ForkingProcess.register("child", Forked)


@pytest.fixture(scope="module")
def forking() -> Iterator[ForkingProcess]:
    process = ForkingProcess(ctx=get_context("spawn"))
    process.start(Forked.prepare)
    with process:
        yield process


@pytest.fixture(params=["spawned", "forked"])
def child(request: pytest.FixtureRequest) -> Iterator[Forked]:
    child = Spawned() if request.param == "spawned" else request.getfixturevalue("forking").child()
    yield child
    child.kill()


def test_it_answers_again_and_again(child: Forked) -> None:
    assert child.ask(b"one\n", 60) == b"ONE\n"
    large = b"x" * 1_000_000 + b"\n"
    assert child.ask(large, 60) == large.upper()
    assert child.usable()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"exit 3\n", "ended with exit code 3"),
        (b"die\n", "ended by SIGKILL"),
        (b"half\n", "ended with exit code 0"),
    ],
)
def test_its_end_is_told_with_the_way_of_it(child: Forked, line: bytes, words: str) -> None:
    with pytest.raises(ProcessEnded, match=words):
        child.ask(line, 60)
    assert not child.usable()


def test_one_that_has_ended_answers_nothing(child: Forked) -> None:
    child.interrupt()
    wait_until(lambda: not child.usable(), 60, "its end")
    with pytest.raises(ProcessEnded, match="SIGKILL"):
        child.ask(b"one\n", 60)


def test_one_that_is_too_slow_is_ended(child: Forked) -> None:
    with pytest.raises(ProcessTooSlow, match=r"within 0\.2 s"):
        child.ask(b"sleep\n", 0.2)
    assert not child.usable()


def test_one_that_does_not_even_read_is_ended(child: Forked) -> None:
    assert child.ask(b"deaf\n", 60) == b"DEAF\n"
    with pytest.raises(ProcessTooSlow):
        child.ask(b"x" * 1_000_000 + b"\n", 0.2)


def test_it_can_be_ended_while_somebody_waits_for_it(child: Forked) -> None:
    threading.Timer(0.2, child.interrupt).start()
    with pytest.raises(ProcessEnded, match="SIGKILL"):
        child.ask(b"sleep\n", 120)


def test_what_it_started_ends_with_it(child: Forked) -> None:
    grandchild = int(child.ask(b"parent\n", 60))
    child.kill()

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{grandchild}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(is_gone, 30, "the grandchild ends")
