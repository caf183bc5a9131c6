"""The MLLP receiver as a server: many connections on one event loop, the messages of each answered in turn."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from app.domain.errors import Unavailable
from app.receivers.mllp.intake import Intake
from app.receivers.mllp.ledger import Ledger
from app.receivers.mllp.lies import Liar, Lies
from app.receivers.mllp.responder import Responder
from app.util.mllp import Deframer, frame

_BACKLOG = 512  # connections that may wait to be accepted
_RECEIVE = 65_536  # bytes that are read at once

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PeerLimits:
    """What peers may take of the receiver; with a message's largest size, they bound its memory."""

    connections: int = 512  # the one that has been silent for longest makes room for another
    message_seconds: float = 60.0  # from a message's first bytes to its last


class MllpReceiver:
    """Acknowledges what it gets and keeps a ledger of it, or lies about some of it.

    async with MllpReceiver(port=0) as receiver:
        receiver.port  # where it listens
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        ledger: Ledger | None = None,
        lies: Lies | None = None,
        tls: ssl.SSLContext | None = None,
        *,
        file: Path | None = None,
        limits: PeerLimits | None = None,
        delay: float = 0.0,
        on_message: Callable[[bytes], None] | None = None,
    ) -> None:
        """
        Args:
            file: where the ledger outlives this receiver (see :mod:`app.receivers.journal`).
            limits: what peers may take.
            delay: seconds that each answer is held back.
            on_message: sees every message before its answer.
        """
        self.host = host
        self.port = port
        self.ledger = Ledger() if ledger is None else ledger
        self.delay = delay
        self.connections: dict[asyncio.Transport, None] = {}  # those that were silent for longest come first
        self.limits = limits or PeerLimits()
        self.buffer = memoryview(bytearray(_RECEIVE))  # what was read last, of any connection
        self._tls = tls
        self._on_message = on_message
        self._file = file
        self._intake = Intake(self.ledger, Liar(lies or Lies()))
        self._responder = Responder(self.ledger, self._intake, datetime.now)
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; ``port`` is then the real one.

        Raises:
            Unavailable: the address can't be listened on, or the ledger's file is in use.
            InvalidInput: the file is something else.
            OSError: the file can't be opened.
        """
        if self._file is not None:
            self._intake.open(self._file)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(
                lambda: _Connection(self), self.host, self.port, ssl=self._tls, backlog=_BACKLOG
            )
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise Unavailable(f"can't listen on {self.host}:{self.port}: {reason} (choose another port)") from error
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close every connection, without waiting for senders that do not read their answers."""
        if self._server is not None:
            self._server.close()
        for transport in list(self.connections):
            transport.close()
        self._intake.close()

    async def __aenter__(self) -> MllpReceiver:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def admit(self, transport: asyncio.Transport) -> None:
        """Take in a connection, for which another may have to go: senders make a new one when they need it."""
        while len(self.connections) >= self.limits.connections:
            self.refuse(next(iter(self.connections)), "too many connections, and this one was silent for longest")
        self.connections[transport] = None

    def refuse(self, transport: asyncio.Transport, reason: str) -> None:
        """End a connection without waiting for its sender to take its answers."""
        log.info("connection closed", reason=reason, peer=transport.get_extra_info("peername"))
        self.connections.pop(transport, None)
        transport.abort()

    def respond(self, message: bytes) -> bytes:
        if self._on_message is not None:
            self._on_message(message)
        return self._responder.respond(message)


class _Connection(asyncio.BufferedProtocol):
    """One sender's connection. It is not read while its sender does not take the answers.

    All connections are read into the same buffer, each after the last one's bytes were taken out.
    """

    def __init__(self, receiver: MllpReceiver) -> None:
        self._receiver = receiver
        self._deframer = Deframer()
        self._unfinished: asyncio.TimerHandle | None = None  # a message that has begun must end by then

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._receiver.admit(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.connections.pop(self._transport, None)
        self._limit_message(begun=False)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._receiver.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._note_activity()
        answers: list[bytes] = []
        try:
            for message in self._deframer.feed(bytes(self._receiver.buffer[:nbytes])):
                answers.append(frame(self._receiver.respond(message)))
        except ValueError as error:  # an endless frame, or a message without MSH: nobody that could be answered
            log.warning("connection closed", reason=str(error), peer=self._transport.get_extra_info("peername"))
            self._transport.write(b"".join(answers))
            self._transport.close()
            return
        if answers or not self._deframer.inside:
            self._limit_message(begun=False)
        if self._deframer.inside and self._unfinished is None:
            self._limit_message(begun=True)
        if not self._receiver.delay:
            self._transport.write(b"".join(answers))
        elif answers:
            asyncio.get_running_loop().call_later(self._receiver.delay, self._transport.write, b"".join(answers))

    def _note_activity(self) -> None:
        connections = self._receiver.connections
        if self._transport in connections:  # it is not while it is being refused
            connections[self._transport] = connections.pop(self._transport)

    def _limit_message(self, *, begun: bool) -> None:
        if self._unfinished is not None:
            self._unfinished.cancel()
            self._unfinished = None
        if begun:
            seconds = self._receiver.limits.message_seconds
            reason = f"a message that did not end within {seconds:g} s"
            self._unfinished = asyncio.get_running_loop().call_later(
                seconds, self._receiver.refuse, self._transport, reason
            )

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()
