"""A storage SCP that does what a script says on each connection, however wrong: the hostile peers of the tests."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from struct import Struct
from types import TracebackType
from typing import Self, TypeAlias

from app.dicom.network import command_set, pdu

_HEADER = Struct(">BxI")


class Peer:
    """The SCP's side of one connection. Reading past the end of the connection raises EOFError."""

    def __init__(self, connection: socket.socket, stored: list[str]) -> None:
        self.socket = connection
        self._stored = stored  # SOP Instance UIDs of the requests that were read whole

    def receive(self) -> pdu.Pdu:
        kind, length = _HEADER.unpack(self._exactly(_HEADER.size))
        return pdu.decode(kind, self._exactly(length))

    def send(self, *messages: pdu.Pdu) -> None:
        self.socket.sendall(b"".join(message.encode() for message in messages))

    def accept(
        self, max_pdu: int = 16384, result: int = 0, window: pdu.OperationsWindow | None = None
    ) -> pdu.AssociateRequest:
        """Read an association request and answer it with the same result for every context."""
        request = self.receive()
        assert isinstance(request, pdu.AssociateRequest)
        contexts = tuple(
            pdu.ContextResult(context.id, result, context.transfer_syntaxes[0]) for context in request.contexts
        )
        self.send(pdu.AssociateAccept(request.called_aet, request.calling_aet, contexts, max_pdu, window=window))
        return request

    def receive_store(self) -> tuple[int, int, bytes]:
        """Read a whole C-STORE-RQ: its context, message ID and data set. Answers a release request and ends there."""
        request = bytearray()
        data = bytearray()
        while True:
            received = self.receive()
            if isinstance(received, pdu.ReleaseRequest):
                self.send(pdu.ReleaseResponse())
                raise EOFError
            if not isinstance(received, pdu.DataTransfer):
                raise EOFError
            for value in received.values:
                (request if value.is_command else data).extend(value.data)
                if value.is_last and not value.is_command:
                    elements = command_set.decode_command_set(request)
                    self._stored.append(elements[command_set.AFFECTED_SOP_INSTANCE_UID].decode().strip("\0"))
                    (message_id,) = struct.unpack("<H", elements[command_set.MESSAGE_ID])
                    return value.context_id, message_id, bytes(data)

    def has_more(self, seconds: float) -> bool:
        """Whether anything comes within this time."""
        return bool(select.select([self.socket], [], [], seconds)[0])

    def respond(self, context_id: int, message_id: int, status: int | None) -> None:
        self.send(store_response(context_id, message_id, status))

    def store(self, status: int = 0) -> None:
        """Read one C-STORE-RQ and answer it."""
        context_id, message_id, _ = self.receive_store()
        self.respond(context_id, message_id, status)

    def store_all(self) -> None:
        """Answer C-STOREs with success until the association ends."""
        while True:
            self.store()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def wait_for_end(self) -> None:
        """Read until the other side ends the connection."""
        while self.socket.recv(65536):
            pass

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            received = self.socket.recv(count - len(data))
            if not received:
                raise EOFError
            data += received
        return bytes(data)


Script: TypeAlias = Callable[[Peer], None]


def store_everything(peer: Peer) -> None:
    """The script of an SCP that behaves."""
    peer.accept()
    peer.store_all()


class ScriptedScp:
    """Serves connections one after the other, each by the next script; the last script serves all further ones."""

    aet = "SCRIPTED"

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self.stored: list[str] = []  # SOP Instance UIDs of the C-STOREs that arrived whole, answered or not
        self._open: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        return f"{self.aet}@127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _serve(self) -> None:
        while True:
            try:
                self._open, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            with self._open, contextlib.suppress(EOFError, OSError):
                script(Peer(self._open, self.stored))


def store_response(context_id: int, message_id: int, status: int | None) -> pdu.DataTransfer:
    """A C-STORE-RSP; without a status where that is None."""
    elements = [
        (command_set.COMMAND_FIELD, command_set.C_STORE_RSP),
        (command_set.MESSAGE_ID_BEING_RESPONDED_TO, message_id),
    ]
    elements.append((command_set.DATA_SET_TYPE, command_set.NO_DATA_SET))
    if status is not None:
        elements.append((command_set.STATUS, status))
    encoded = b"".join(struct.pack("<HHIH", 0, element, 2, value) for element, value in elements)
    return pdu.DataTransfer((pdu.DataValue(context_id, True, True, encoded),))
