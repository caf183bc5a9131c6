"""The MLLP receiver as a server: many connections on one event loop, the messages of each answered in turn."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import datetime

import structlog

from app.domain.errors import Unavailable
from app.receivers.mllp.ledger import Ledger
from app.receivers.mllp.lies import Liar, Lies
from app.receivers.mllp.responder import Responder
from app.util.mllp import Deframer, frame

_BACKLOG = 512  # connections that may wait to be accepted

log = structlog.get_logger()


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
        delay: float = 0.0,
        on_message: Callable[[bytes], None] | None = None,
    ) -> None:
        """``delay``: seconds that each answer is held back. ``on_message`` sees every message before its answer."""
        self.host = host
        self.port = port
        self.ledger = Ledger() if ledger is None else ledger
        self.delay = delay
        self.connections: set[asyncio.Transport] = set()
        self._tls = tls
        self._on_message = on_message
        self._responder = Responder(self.ledger, Liar(lies or Lies()), lambda: datetime.now().astimezone())
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; ``port`` is then the real one.

        Raises:
            Unavailable: the address can't be listened on.
        """
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

    async def __aenter__(self) -> MllpReceiver:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def respond(self, message: bytes) -> bytes:
        if self._on_message is not None:
            self._on_message(message)
        return self._responder.respond(message)


class _Connection(asyncio.Protocol):
    """One sender's connection. It is not read while its sender does not take the answers."""

    def __init__(self, receiver: MllpReceiver) -> None:
        self._receiver = receiver
        self._deframer = Deframer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._receiver.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._receiver.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        answers: list[bytes] = []
        try:
            for message in self._deframer.feed(data):
                answers.append(frame(self._receiver.respond(message)))
        except ValueError as error:  # an endless frame, or a message without MSH: nobody that could be answered
            log.warning("connection closed", reason=str(error), peer=self._transport.get_extra_info("peername"))
            self._transport.write(b"".join(answers))
            self._transport.close()
            return
        if not self._receiver.delay:
            self._transport.write(b"".join(answers))
        elif answers:
            asyncio.get_running_loop().call_later(self._receiver.delay, self._transport.write, b"".join(answers))

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()
