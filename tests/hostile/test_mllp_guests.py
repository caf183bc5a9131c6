"""Senders that break the rules, at our own HL7 receiver: each is dealt with, and everybody else is served."""

from __future__ import annotations

import random
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import pytest

from app.hl7.acknowledgement import parse_ack
from app.receivers.mllp.server import PeerLimits
from app.util.mllp import Deframer, frame
from tests.contract.mllp_orders import ledger_of, order, send
from tests.contract.mllp_peers import running_receiver
from tests.contract.test_receiver_program import receiver


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as guest:
        yield guest


def was_closed(guest: socket.socket) -> bool:
    """Whether the receiver ends the connection, whatever it says before."""
    with suppress(ConnectionError):
        while guest.recv(65_536):
            pass
    return True


def acknowledgement(guest: socket.socket) -> str:
    """The code of the next one."""
    deframer, answers = Deframer(), list[bytes]()
    while not answers:
        chunk = guest.recv(65_536)
        assert chunk, "the receiver closed the connection"
        answers = deframer.feed(chunk)
    return parse_ack(answers[0]).code


def ask(guest: socket.socket) -> str:
    guest.sendall(frame(order(1).message))
    return acknowledgement(guest)


def is_served(port: int, number: int = 1) -> bool:
    return send(port, [order(number)]) == {number: "accepted"}


# --- What is not HL7 --------------------------------------------------------------------------------------------------

Guest: TypeAlias = Callable[[socket.socket], None]


def http(guest: socket.socket) -> None:
    guest.sendall(b"POST / HTTP/1.1\r\nHost: ris\r\nContent-Length: 10\r\n\r\n0123456789")


def random_bytes(guest: socket.socket) -> None:
    guest.sendall(random.Random(7).randbytes(300_000).replace(b"\x0b", b""))


def nothing_in_a_frame(guest: socket.socket) -> None:
    guest.sendall(frame(b""))
    assert was_closed(guest)


def a_frame_of_zeros(guest: socket.socket) -> None:
    guest.sendall(frame(bytes(1000)))
    assert was_closed(guest)


def half_a_frame_and_the_end(guest: socket.socket) -> None:
    guest.sendall(frame(order(9).message)[:-2])


def half_a_frame_and_a_reset(guest: socket.socket) -> None:
    guest.sendall(frame(order(9).message)[:-2])
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def a_frame_without_end(guest: socket.socket) -> None:
    with suppress(ConnectionError):
        guest.sendall(b"\x0bMSH|^~\\&|" + b"x" * (4 << 20))
        assert was_closed(guest)


def an_order_whose_answer_nobody_waits_for(guest: socket.socket) -> None:
    guest.sendall(frame(order(9).message.replace(b"|7K3QX0AB00009\r", b"|\r")))


@pytest.mark.parametrize(
    "behaviour",
    [
        http,
        random_bytes,
        nothing_in_a_frame,
        a_frame_of_zeros,
        half_a_frame_and_the_end,
        half_a_frame_and_a_reset,
        a_frame_without_end,
        an_order_whose_answer_nobody_waits_for,
    ],
    ids=lambda behaviour: behaviour.__name__,
)
def test_nothing_of_it_is_kept_and_others_are_served(behaviour: Guest) -> None:
    with running_receiver() as running:
        for _ in range(3):
            with connected(running.port) as guest:
                behaviour(guest)
                assert is_served(running.port)
        assert [kept.control_id for kept in ledger_of(running.port)] == [order(1).control_id]


def test_junk_before_a_frame_is_skipped() -> None:
    with running_receiver() as running, connected(running.port) as guest:
        guest.sendall(b"\r\nGET / HTTP/1.1\r\n\x1c\r\x00" + frame(order(1).message))
        assert acknowledgement(guest) == "AA"


def test_many_tiny_frames_are_answered_one_by_one() -> None:
    """The sender reads nothing before it has sent them all."""
    tiny = frame(b"MSH|^~\\&|||||||ADT|1|T|2\r")
    with running_receiver() as running, connected(running.port) as guest:
        guest.sendall(tiny * 4000)
        deframer, answers = Deframer(), 0
        while answers < 4000:
            answers += len(deframer.feed(guest.recv(65_536)))
        assert is_served(running.port)


# --- What takes its time, or room -------------------------------------------------------------------------------------


def test_a_message_that_does_not_end_in_time_ends_its_connection() -> None:
    with running_receiver(limits=PeerLimits(message_seconds=0.2)) as running, connected(running.port) as guest:
        for byte in frame(order(9).message):
            with suppress(ConnectionError):
                guest.sendall(bytes([byte]))
            time.sleep(0.02)
        assert was_closed(guest)
        assert is_served(running.port)
        assert len(running.ledger) == 1


def test_a_message_that_comes_slowly_but_in_time_is_taken() -> None:
    with running_receiver() as running, connected(running.port) as guest:
        message = frame(order(9).message)
        for start in range(0, len(message), 20):
            guest.sendall(message[start : start + 20])
            time.sleep(0.01)
        assert acknowledgement(guest) == "AA"


def test_between_messages_a_sender_may_be_silent_for_as_long_as_it_likes() -> None:
    with running_receiver(limits=PeerLimits(message_seconds=0.1)) as running, connected(running.port) as guest:
        for number in (1, 2):
            guest.sendall(frame(order(number).message))
            assert acknowledgement(guest) == "AA"
            time.sleep(0.4)


def test_the_connection_that_was_silent_for_longest_makes_room_for_another() -> None:
    with ExitStack() as stack:
        port = stack.enter_context(running_receiver(limits=PeerLimits(connections=3))).port
        first, second, third = (stack.enter_context(connected(port)) for _ in range(3))
        for guest in (first, second, third, first):
            assert ask(guest) == "AA"
        fourth = stack.enter_context(connected(port))
        assert ask(fourth) == "AA"
        assert was_closed(second)
        assert [ask(guest) for guest in (first, third, fourth)] == ["AA"] * 3


def test_hundreds_of_silent_connections_keep_nobody_out() -> None:
    with running_receiver(limits=PeerLimits(connections=50)) as running:
        silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(200)]
        assert is_served(running.port)
        assert len(running.connections) <= 50
        for guest in silent:
            guest.close()


def most_memory(pid: int) -> int:
    """The most that a process ever had, in MiB."""
    match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert match
    return int(match[1]) >> 10


def test_messages_without_end_on_many_connections_leave_the_memory_where_it_is() -> None:
    """64 connections send 4 MiB each into a message that does not end: of each, one MiB is held at most."""
    with receiver("mllp", "--port", "0") as running:
        port = running.ready()["port"]
        assert is_served(port)
        before = most_memory(running.process.pid)
        guests = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(64)]
        for guest in guests:
            guest.sendall(b"\x0b" + b"x" * (1 << 19))
        for guest in guests:
            with suppress(ConnectionError):
                guest.sendall(b"x" * (4 << 20))
        assert all(was_closed(guest) for guest in guests)
        assert is_served(port, 2)
        assert most_memory(running.process.pid) - before < 150
        for guest in guests:
            guest.close()
