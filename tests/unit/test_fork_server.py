"""The process that forks children: whose end is whose. What its children do is in test_answering_process.py."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.util.fork_server import ForkServer
from tests.services.processes import wait_until

PARENT = """
import os, resource, sys
from app.util.fork_server import ForkServer
server, children = ForkServer(lambda: sys.stdin.read()), []
for line in sys.stdin:
    match line.split():
        case ["start"]:
            try:
                children.append(server.start())
                print(children[-1]._pid, flush=True)
            except OSError as error:
                print(error, flush=True)
        case ["close"]: server.close(); print("closed", flush=True)
        case ["alive"]: print(server.is_alive, flush=True)
        case ["poll"]: print(children[-1].poll(), flush=True)
        case ["hoard", count]:
            resource.setrlimit(resource.RLIMIT_NOFILE, (2 * int(count), 2 * int(count)))
            hoard = [os.dup(0) for _ in range(int(count))]
            print(hoard[-1], flush=True)
        case ["server"]: print(server._pid, flush=True)
"""


class Parent:
    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def parent() -> Iterator[Parent]:
    parent = Parent()
    yield parent
    parent.process.kill()
    parent.process.communicate()


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def ends(pid: int) -> None:
    wait_until(lambda: is_gone(pid), 30, f"process {pid} ends")


def test_it_and_its_children_end_with_a_parent_that_is_killed(parent: Parent) -> None:
    processes = [int(parent.ask("server")), int(parent.ask("start")), int(parent.ask("start"))]
    assert not any(is_gone(pid) for pid in processes)
    parent.process.kill()
    for pid in processes:
        ends(pid)


def test_closing_it_ends_its_children(parent: Parent) -> None:
    child = int(parent.ask("start"))
    assert parent.ask("close") == "closed"
    ends(child)
    assert parent.ask("alive") == "False"


def test_signals_that_are_meant_for_its_parent_do_not_end_it(parent: Parent) -> None:
    server = int(parent.ask("server"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(server, number)
    assert not is_gone(int(parent.ask("start")))
    assert parent.ask("alive") == "True"


def test_a_child_can_be_ended_by_them(parent: Parent) -> None:
    child = int(parent.ask("start"))

    def ask() -> bool:  # again and again: it is not itself from the first moment
        if not is_gone(child):
            os.kill(child, signal.SIGTERM)
        return is_gone(child)

    wait_until(ask, 30, "the child ends")


def test_when_it_is_gone_there_are_no_more_children_and_that_is_told(parent: Parent) -> None:
    os.kill(int(parent.ask("server")), signal.SIGKILL)
    wait_until(lambda: parent.ask("alive") == "False", 30, "its end is noticed")
    assert parent.ask("start") in ("[Errno 32] Broken pipe", "the process that forks has ended")


def test_a_process_with_threads_can_not_make_one() -> None:
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="before the first thread"):
            ForkServer(lambda: None)
    finally:
        release.set()
        thread.join()


def test_a_program_with_very_many_files_open_has_children_like_any_other(parent: Parent) -> None:
    assert int(parent.ask("hoard 1100")) > 1023  # where select() ends
    child = int(parent.ask("start"))
    assert parent.ask("poll") == "None"
    os.kill(child, signal.SIGKILL)
    ends(child)
    wait_until(lambda: parent.ask("poll") == "-9", 30, "its end is told")


def test_a_server_without_room_for_a_childs_files_says_so_and_lives_on(parent: Parent) -> None:
    server = int(parent.ask("server"))
    whole = resource.prlimit(server, resource.RLIMIT_NOFILE)
    assert int(parent.ask("start")) > 0
    used = len(list(Path(f"/proc/{server}/fd").iterdir()))
    resource.prlimit(server, resource.RLIMIT_NOFILE, (used, whole[1]))
    assert "the process that forks" in parent.ask("start")
    resource.prlimit(server, resource.RLIMIT_NOFILE, whole)
    assert parent.ask("alive") == "True"
    assert int(parent.ask("start")) > 0
