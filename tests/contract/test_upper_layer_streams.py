"""Plain connections to peers that leave Nagle's algorithm on, and write their answers packet by packet."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from app.adapters.upper_layer.streams import PlainStream

ROUNDS = 25
PACKETS = 3  # of the answers to one request: all but the first one wait for our acknowledgement
DELAY = 0.04  # seconds that Linux may hold an acknowledgement back


@pytest.fixture
def stream() -> Iterator[PlainStream]:
    """To a peer that answers each byte with so many packets."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        ours = socket.create_connection(listener.getsockname(), 5)
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer, _ = listener.accept()
        thread = threading.Thread(target=_answer, args=(peer,))
        thread.start()
        stack.callback(thread.join)
        yield stack.enter_context(closing(PlainStream(ours)))


def _answer(peer: socket.socket) -> None:
    with peer:
        while peer.recv(1):
            for _ in range(PACKETS):
                peer.send(b"x" * 100)


def test_answers_in_several_packets_are_not_held_back(stream: PlainStream) -> None:
    def seconds_of_a_round() -> float:
        begun, size = time.monotonic(), 0
        deadline = begun + 30
        stream.send([b"?"], deadline, 30)
        while size < 100 * PACKETS:
            size += len(stream.receive(deadline))
        return time.monotonic() - begun

    assert statistics.median(seconds_of_a_round() for _ in range(ROUNDS)) < DELAY / 2
