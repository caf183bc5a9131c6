"""A TCP proxy for tests: its connections can be cut, refused, frozen and delayed, whatever is spoken over them."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from tests.services.processes import free_port

PIECE = 65_536
CONNECT_SECONDS = 5.0
LOOK = 0.05  # seconds between two looks whether a held piece is still wanted
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: what was not sent is dropped, and the peer gets a reset


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes bytes on to ``target`` and back; a context manager.

    Args:
        target: port of 127.0.0.1 that it connects to, once for each of its clients. When nobody listens there, the
            client's connection is reset. May be changed for the connections to come.
        admit: is given every piece that a client sends, before it goes on; it may take its time.
    """

    def __init__(self, target: int, admit: Callable[[bytes], None] = lambda piece: None) -> None:
        self.target = target
        self.delay = 0.0  # seconds that every piece is held back, either way
        self.accepted_at: list[float] = []  # time.monotonic() seconds of each connection that a client has made
        self._admit = admit
        self._flowing = threading.Event()
        self._flowing.set()
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self.port = free_port()
        self._server = _listen(self.port)
        self._start_accepting()

    @property
    def accepted(self) -> int:
        """Connections that clients have made so far."""
        return len(self.accepted_at)

    def cut(self) -> int:
        """Reset every connection there is; how many. New ones can be made at once."""
        with self._lock:
            links, self._links = self._links, set()
        for link in links:
            link.cut()
        return len(links)

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Cut every connection, and refuse new ones while the block runs."""
        _hang_up(self._server)
        self.cut()
        try:
            yield
        finally:
            self._server = _listen(self.port)
            self._start_accepting()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Pass nothing while the block runs: connections stay, and can be made, and nobody answers."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        _hang_up(self._server)
        self.cut()
        self.thaw()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _start_accepting(self) -> None:
        threading.Thread(target=self._accept, args=(self._server,), name=f"proxy-{self.port}", daemon=True).start()

    def _accept(self, server: socket.socket) -> None:
        with server:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:  # no more: we hung up
                    return
                self.accepted_at.append(time.monotonic())
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target), CONNECT_SECONDS)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            client.close()
            return
        server.settimeout(None)
        link = _Link(client, server)
        with self._lock:
            self._links.add(link)
        link.start(self._hold, self._forget)

    def _hold(self, link: _Link, piece: bytes, from_client: bool) -> None:
        """Return when the piece may go on, or the link was cut."""
        if from_client:
            self._admit(piece)
        if self.delay:
            time.sleep(self.delay)
        while not self._flowing.wait(LOOK) and not link.is_cut:
            pass

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """A client's connection and the one to the target, with a thread for each direction."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.is_cut = False
        self._ends = (client, server)
        self._open = 2  # directions
        self._lock = threading.Lock()
        for end in self._ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self, hold: Callable[[_Link, bytes, bool], None], ended: Callable[[_Link], None]) -> None:
        for from_client in (True, False):
            threading.Thread(target=self._pump, args=(from_client, hold, ended), daemon=True).start()

    def cut(self) -> None:
        """Have both threads end; whoever ends last resets both connections."""
        self.is_cut = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                end.shutdown(socket.SHUT_RD)  # wakes the thread that reads, and sends nothing

    def _pump(
        self, from_client: bool, hold: Callable[[_Link, bytes, bool], None], ended: Callable[[_Link], None]
    ) -> None:
        source, sink = self._ends if from_client else self._ends[::-1]
        try:
            while piece := source.recv(PIECE):
                hold(self, piece, from_client)
                if self.is_cut:
                    break
                sink.sendall(piece)
            if not self.is_cut:
                sink.shutdown(socket.SHUT_WR)
        except OSError:
            self.cut()
        self._end_direction(ended)

    def _end_direction(self, ended: Callable[[_Link], None]) -> None:
        with self._lock:
            self._open -= 1
            if self._open:
                return
        ended(self)
        for end in self._ends:
            end.close()


def _listen(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=256)


def _hang_up(server: socket.socket) -> None:
    """Stop listening; the thread that accepts closes the socket."""
    with contextlib.suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
