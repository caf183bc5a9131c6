"""A child that answers lines with lines: its end, its slowness and its children are dealt with."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.util.answering_process import AnsweringProcess, ProcessEnded, ProcessTooSlow
from tests.services.processes import wait_until

ECHO = """
import os, signal, subprocess, sys, time
for line in sys.stdin:
    match line.split():
        case ["exit", code]: os._exit(int(code))
        case ["die"]: os.kill(os.getpid(), signal.SIGKILL)
        case ["sleep"]: time.sleep(600)
        case ["half"]: os.write(1, b"half a li"); os._exit(0)
        case ["parent"]: print(subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL).pid, flush=True)
        case _: print(line.strip().upper(), flush=True)
"""


@pytest.fixture
def child() -> Iterator[AnsweringProcess]:
    child = AnsweringProcess([sys.executable, "-c", ECHO], dict(os.environ))
    yield child
    child.kill()


def test_it_answers_again_and_again(child: AnsweringProcess) -> None:
    assert child.ask(b"one\n", 60) == b"ONE\n"
    large = b"x" * 1_000_000 + b"\n"
    assert child.ask(large, 60) == large.upper()
    assert child.is_usable


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"exit 3\n", "ended with exit code 3"),
        (b"die\n", "ended by SIGKILL"),
        (b"half\n", "ended with exit code 0"),
    ],
)
def test_its_end_is_told_with_the_way_of_it(child: AnsweringProcess, line: bytes, words: str) -> None:
    with pytest.raises(ProcessEnded, match=words):
        child.ask(line, 60)
    assert not child.is_usable


def test_one_that_has_ended_answers_nothing(child: AnsweringProcess) -> None:
    child.interrupt()
    with pytest.raises(ProcessEnded, match="SIGKILL"):
        child.ask(b"one\n", 60)


def test_one_that_is_too_slow_is_ended(child: AnsweringProcess) -> None:
    with pytest.raises(ProcessTooSlow, match=r"within 0\.2 s"):
        child.ask(b"sleep\n", 0.2)
    assert not child.is_usable


def test_one_that_does_not_even_read_is_ended() -> None:
    deaf = AnsweringProcess(["sleep", "600"], dict(os.environ))
    with pytest.raises(ProcessTooSlow):
        deaf.ask(b"x" * 1_000_000 + b"\n", 0.2)


def test_it_can_be_ended_while_somebody_waits_for_it(child: AnsweringProcess) -> None:
    threading.Timer(0.2, child.interrupt).start()
    with pytest.raises(ProcessEnded, match="SIGKILL"):
        child.ask(b"sleep\n", 120)


def test_what_it_started_ends_with_it(child: AnsweringProcess) -> None:
    grandchild = int(child.ask(b"parent\n", 60))
    child.kill()

    def is_gone() -> bool:
        try:
            return Path(f"/proc/{grandchild}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(is_gone, 30, "the grandchild ends")
