"""MLLP peers for tests: one that does what a script says, byte by byte, and the built-in receiver in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import hl7.mllp

from app.hl7.acknowledgement import AckCode, build_ack
from app.receivers.mllp import MllpReceiver
from app.util.mllp import Deframer, frame

Server = TypeVar("Server")

_PATIENCE = 10.0  # seconds after which a test that waits for a peer has failed


class Conversation:
    """The peer's side of one connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._deframer = Deframer(limit=64 << 20)
        self._messages: list[bytes] = []

    def read(self) -> bytes:
        """The next message. Raises EOFError when the client closed the connection instead."""
        while not self._messages:
            chunk = self.socket.recv(65_536)
            if not chunk:
                raise EOFError
            self._messages += self._deframer.feed(chunk)
        return self._messages.pop(0)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, message: bytes, code: AckCode = "AA", text: str = "") -> None:
        self.send(frame(build_ack(message, code, text, sending_application="PEER")))

    def wait_for_end(self) -> None:
        """Until the client closes the connection, whatever it sends before."""
        with contextlib.suppress(EOFError):
            while True:
                self.read()

    def reset(self) -> None:
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


Script = Callable[[Conversation], None]


def acknowledge_all(conversation: Conversation) -> None:
    """The script of a well-behaved peer."""
    while True:
        conversation.answer(conversation.read())


class ScriptedPeer:
    """Listens, and lets the first connection run the first script, and so on; the last script serves all later ones.

    A connection is closed when its script returns. An error in a script other than the connection's end is raised on
    leaving.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = list(scripts)
        self._tls = tls
        self._errors: list[BaseException] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> ScriptedPeer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop_listening()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)
        if self._errors:
            raise self._errors[0]

    def stop_listening(self) -> None:
        """Refuse connections from now on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(_PATIENCE)
                self._open.append(connection)
                script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
                self.connections += 1
                thread = threading.Thread(target=self._converse, args=(connection, script), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _converse(self, connection: socket.socket, script: Script) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            script(Conversation(connection))
        except (EOFError, OSError):
            pass
        except BaseException as error:
            self._errors.append(error)
        finally:
            connection.close()


@contextlib.contextmanager
def running_receiver(**options: Any) -> Iterator[MllpReceiver]:
    """The built-in receiver, on a free port unless told."""
    with on_a_loop(MllpReceiver(**options)) as receiver:
        yield receiver


@contextlib.contextmanager
def python_hl7_receiver() -> Iterator[int]:
    """The server of python-hl7, which answers AA to everything; its port."""
    with on_a_loop(_python_hl7()) as server:
        yield int(server.sockets[0].getsockname()[1])


@contextlib.asynccontextmanager
async def _python_hl7() -> AsyncIterator[asyncio.Server]:
    async def acknowledge(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                message = await reader.readmessage()
                writer.writemessage(message.create_ack())
                await writer.drain()
        writer.close()

    async with await hl7.mllp.start_hl7_server(acknowledge, "127.0.0.1", 0, encoding="utf-8") as server:
        yield server


@contextlib.contextmanager
def on_a_loop(server: AbstractAsyncContextManager[Server]) -> Iterator[Server]:
    """Enter an asynchronous context on an event loop in a thread of its own, and leave it at the end."""
    ready, stop = threading.Event(), threading.Event()
    entered: list[Server] = []

    async def serve() -> None:
        async with server as running:
            entered.append(running)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(_PATIENCE)
        yield entered[0]
    finally:
        stop.set()
        thread.join(_PATIENCE)
