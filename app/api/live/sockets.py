"""Socket.IO, namespace ``/simulator``: what clients may ask, and how messages get to them.

    client -> server   subscribe    {run_id, cursor?, events?}   answered {ok, run_id, cursor} or {ok: false, problem}
                       unsubscribe  {run_id}                     answered {ok}
    server -> client   run.status   {run_id, run_key, state, verdict, reason}
                       run.progress counts, at most 5 a second a run
                       run.event    {run_id, events, cursor}     only where asked for (``events: true``)

``cursor`` is where the events begin: null is the beginning of the run, else what the last ``run.event`` (or a page of
the REST API) said. A client that comes back names the last one it has; it misses nothing and gets nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import socketio
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.api.live.hub import Hub
from app.api.problems import problem_document, problem_of_error
from app.domain.errors import Conflict, InvalidInput, YeeterError
from app.domain.template import problems_of
from app.ports import Database

log = structlog.get_logger()

NAMESPACE = "/simulator"
MAX_SOCKETS = 1000
MAX_SUBSCRIPTIONS = 50  # of one client
MAX_MESSAGE = 64 * 1024  # bytes that a client may send at once
BACKLOG = 16  # messages on their way to a client before its events wait
BACKLOG_POLL = 0.05  # seconds

Answer = dict[str, Any]


class _Subscribe(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    run_id: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00]*$", description="id or run key")
    cursor: str | None = Field(default=None, max_length=200)
    events: bool = False


class _Unsubscribe(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    run_id: str = Field(min_length=1, max_length=64)


class Outbound:
    """The way to the clients: the hub's outlet."""

    def __init__(self, server: Any) -> None:
        self._server = server

    async def to_client(self, sid: str, event: str, data: dict[str, Any]) -> None:
        await self._server.emit(event, data, to=sid, namespace=NAMESPACE)

    async def to_room(self, room: str, event: str, data: dict[str, Any]) -> None:
        await self._server.emit(event, data, room=room, namespace=NAMESPACE)

    async def has_room(self, sid: str) -> None:
        while self._backlog(sid) > BACKLOG:
            await asyncio.sleep(BACKLOG_POLL)

    def _backlog(self, sid: str) -> int:
        """Messages that the transport has not taken yet; Socket.IO itself would queue without a bound."""
        transport = self._server.manager.eio_sid_from_sid(sid, NAMESPACE)
        socket = self._server.eio.sockets.get(transport)
        return socket.queue.qsize() if socket is not None else 0


class Sockets:
    """The Socket.IO server of one application."""

    def __init__(self, database: Database) -> None:
        # Only pages of this very server may connect from a browser: the default for cors_allowed_origins.
        self.server = socketio.AsyncServer(async_mode="asgi", max_http_buffer_size=MAX_MESSAGE)
        self._hub = Hub(database, Outbound(self.server))
        self._clients: set[str] = set()
        handlers: dict[str, Callable[..., Coroutine[Any, Any, Any]]] = {
            "connect": self._connect,
            "disconnect": self._disconnect,
            "subscribe": self._answering(self._subscribe),
            "unsubscribe": self._answering(self._unsubscribe),
        }
        for event, handler in handlers.items():
            self.server.on(event, handler, namespace=NAMESPACE)

    def close(self) -> None:
        self._hub.close()

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        if len(self._clients) >= MAX_SOCKETS:
            raise socketio.exceptions.ConnectionRefusedError("too many clients")
        self._clients.add(sid)

    async def _disconnect(self, sid: str, reason: str) -> None:
        self._clients.discard(sid)
        for run_id in self._hub.subscriptions(sid):
            self._hub.unsubscribe(sid, run_id)

    def _answering(
        self, handle: Callable[[str, Any], Coroutine[Any, Any, Answer]]
    ) -> Callable[..., Coroutine[Any, Any, Answer]]:
        """Every error becomes an answer with a problem document, as in the REST API."""

        async def answer(sid: str, data: Any = None) -> Answer:
            try:
                return await handle(sid, data)
            except ValidationError as error:
                problem = problem_of_error(InvalidInput(*problems_of(error)))
            except YeeterError as error:
                problem = problem_of_error(error)
            except Exception as error:
                log.exception("a defect answered over Socket.IO", error=repr(error))
                problem = problem_document(500, "a defect of the server; its log says more")
            return {"ok": False, "problem": problem}

        return answer

    async def _subscribe(self, sid: str, data: Any) -> Answer:
        wanted = _Subscribe.model_validate(data)
        run = await self._hub.find(wanted.run_id, wanted.cursor)
        if len(self._hub.subscriptions(sid)) >= MAX_SUBSCRIPTIONS:
            raise Conflict(f"one client can look on at {MAX_SUBSCRIPTIONS} runs; unsubscribe from one first")
        if sid not in self._clients:  # it has gone while we looked
            raise Conflict("the client is not connected")
        await self.server.enter_room(sid, run.id, namespace=NAMESPACE)
        await self._hub.subscribe(sid, run, wanted.cursor, wanted.events)
        return {"ok": True, "run_id": run.id, "cursor": wanted.cursor}

    async def _unsubscribe(self, sid: str, data: Any) -> Answer:
        wanted = _Unsubscribe.model_validate(data)
        run = await self._hub.find(wanted.run_id, None)
        await self.server.leave_room(sid, run.id, namespace=NAMESPACE)
        self._hub.unsubscribe(sid, run.id)
        return {"ok": True}
