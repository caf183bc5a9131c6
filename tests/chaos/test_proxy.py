"""The proxy does to connections what it says."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.services.processes import free_port, wait_until
from tests.services.proxy import Proxy


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets, and ends a connection when its client does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    while piece := connection.recv(4096):
                        connection.sendall(piece)
                except ConnectionResetError:
                    return

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def proxy(echo: int) -> Iterator[Proxy]:
    with Proxy(echo) as proxy:
        yield proxy


@pytest.fixture
def clients() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def connect(clients: ExitStack, proxy: Proxy) -> socket.socket:
    return clients.enter_context(socket.create_connection(("127.0.0.1", proxy.port), 30))


def ask(client: socket.socket, text: bytes = b"hello") -> bytes:
    client.sendall(text)
    return client.recv(100)


def test_bytes_pass_both_ways_until_the_client_ends(proxy: Proxy, clients: ExitStack) -> None:
    client = connect(clients, proxy)
    assert ask(client) == b"hello"
    client.shutdown(socket.SHUT_WR)
    assert client.recv(100) == b""


def test_cut_connections_are_reset_and_new_ones_can_be_made(proxy: Proxy, clients: ExitStack) -> None:
    first, second = connect(clients, proxy), connect(clients, proxy)
    assert ask(first) == ask(second) == b"hello"
    assert proxy.cut() == 2
    for client in (first, second):
        with pytest.raises(ConnectionResetError):
            client.recv(100)
    assert ask(connect(clients, proxy)) == b"hello"
    assert proxy.cut() == 1


def test_refused_for_a_while(proxy: Proxy, clients: ExitStack) -> None:
    client = connect(clients, proxy)
    assert ask(client) == b"hello"
    with proxy.refusing():
        with pytest.raises(ConnectionResetError):
            client.recv(100)
        with pytest.raises(ConnectionRefusedError):
            connect(clients, proxy)
    assert ask(connect(clients, proxy)) == b"hello"


def test_frozen_connections_stay_and_go_on(proxy: Proxy, clients: ExitStack) -> None:
    client = connect(clients, proxy)
    assert ask(client) == b"hello"
    with proxy.frozen():
        client.sendall(b"late")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(30)
    assert client.recv(100) == b"late"


def test_what_is_frozen_can_be_cut(proxy: Proxy, clients: ExitStack) -> None:
    client = connect(clients, proxy)
    assert ask(client) == b"hello"
    with proxy.frozen():
        client.sendall(b"never")
        assert proxy.cut() == 1
        with pytest.raises(ConnectionResetError):
            client.recv(100)


def test_a_slow_link_holds_every_piece_back(proxy: Proxy, clients: ExitStack) -> None:
    client = connect(clients, proxy)
    assert ask(client) == b"hello"
    proxy.delay = 0.1
    begun = time.monotonic()
    assert ask(client) == b"hello"
    assert time.monotonic() - begun >= 0.2


def test_a_target_that_is_away_resets_and_another_one_can_take_its_place(echo: int, clients: ExitStack) -> None:
    with Proxy(free_port()) as proxy:
        with pytest.raises(ConnectionResetError):
            ask(connect(clients, proxy))
        proxy.target = echo
        assert ask(connect(clients, proxy)) == b"hello"


def test_pieces_of_clients_wait_to_be_admitted(echo: int, clients: ExitStack) -> None:
    admitted, seen = threading.Event(), []

    def admit(piece: bytes) -> None:
        seen.append(piece)
        assert admitted.wait(30)

    with Proxy(echo, admit) as proxy:
        client = connect(clients, proxy)
        client.sendall(b"may I?")
        wait_until(lambda: bool(seen), 30, "the piece")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(30)
        admitted.set()
        assert client.recv(100) == b"may I?"
        assert seen == [b"may I?"]  # what comes back is not asked about
