"""Socket.IO, namespace ``/simulator``: what clients may ask, and how messages get to them.

    client -> server   subscribe    {run_id, cursor?, events?}   answered {ok, run_id, cursor} or {ok: false, problem}
                       unsubscribe  {run_id}                     answered {ok}
    server -> client   run.status   {run_id, run_key, state, verdict, reason}
                       run.progress counts, at most 5 a second a run
                       run.event    {run_id, events, cursor}     only where asked for (``events: true``)
                       workers      {pools, workers}             when connecting, and when something changed: each
                                                                 pool with the autoscaler's last decision

Whoever connects shows a token in the handshake (``auth: {token}``) where the server asks for one; without a good one
the connection is refused, with a problem document as the error's data.

``cursor`` is where the events begin: null is the beginning of the run, else what the last ``run.event`` (or a page of
the REST API) said. A client that comes back names the last one it has; it misses nothing and gets nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

import socketio
import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.access import SOCKETS_PATH, Access, NotKnown, refusal
from app.api.live.hub import Hub
from app.api.live.workers import WorkersFeed
from app.api.problems import problem_document, problem_of_error, problem_response
from app.api.roles import Role
from app.domain.errors import Conflict, InvalidInput, YeeterError
from app.domain.template import problems_of
from app.ports import Database

log = structlog.get_logger()

NAMESPACE = "/simulator"
MAX_SOCKETS = 1000
MAX_SUBSCRIPTIONS = 50  # of one client
MAX_MESSAGE = 64 * 1024  # bytes that a client may send at once
TOKEN_LOOK = 5.0  # seconds between two looks for sockets whose tokens were taken back
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

    def __init__(
        self,
        database: Database,
        access: Access,
        read_workers: Callable[[], dict[str, Any]],
        max_sockets: int = MAX_SOCKETS,
        token_look: float = TOKEN_LOOK,
    ) -> None:
        # The gate has judged every origin already; what this library allows by itself can be talked into by headers.
        self.server = socketio.AsyncServer(async_mode="asgi", max_http_buffer_size=MAX_MESSAGE, cors_allowed_origins=[])
        self._hub = Hub(database, Outbound(self.server))
        self._workers = WorkersFeed(read_workers, self._tell_of_workers, lambda: bool(self._tokens))
        self._access = access
        self._max_sockets = max_sockets
        self._token_look = token_look
        self._tokens: dict[str, str | None] = {}  # by the clients' session ids
        self._looking: asyncio.Task[None] | None = None
        self.server.on("connect", self._connect, namespace=NAMESPACE)
        self.server.on("disconnect", self._disconnect, namespace=NAMESPACE)
        self.offer("subscribe", Role.VIEWER, self._subscribe)
        self.offer("unsubscribe", Role.VIEWER, self._unsubscribe)

    def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
        self._workers.close()
        self._hub.close()

    def feed_lag(self) -> float:
        """Seconds by which the live feed is behind; from any thread."""
        return self._hub.lag()

    def offer(self, event: str, role: Role, handle: Callable[[str, Any], Coroutine[Any, Any, Answer]]) -> None:
        """Offer an event to clients of this role."""
        self.server.on(event, self._answering(role, handle), namespace=NAMESPACE)

    def application(self, rest: ASGIApp) -> ASGIApp:
        """Socket.IO on its path, and everything else to ``rest``."""
        both = socketio.ASGIApp(self.server, rest)

        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            if self._is_one_too_many(scope):
                problem = problem_document(503, "too many sockets are open; close one, or come back later")
                await _refuse(problem, scope, receive, send)
            else:
                await both(scope, receive, send)

        return limited

    def _is_one_too_many(self, scope: Scope) -> bool:
        """Whether this begins a socket and there are enough, those included that never joined the namespace."""
        if scope["type"] == "lifespan" or not scope["path"].startswith(SOCKETS_PATH):
            return False
        is_new = "sid" not in parse_qs(scope["query_string"].decode("latin-1"))
        return is_new and len(self.server.eio.sockets) >= self._max_sockets

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        given = auth.get("token") if isinstance(auth, dict) else None
        token = given if isinstance(given, str) else None
        problem = self._problem(token, Role.VIEWER)
        if problem is not None:
            raise socketio.exceptions.ConnectionRefusedError(problem["detail"], problem)
        self._tokens[sid] = token
        if self._looking is None:
            self._looking = asyncio.create_task(self._close_those_not_known())
        self._workers.welcome()

    async def _tell_of_workers(self, document: dict[str, Any]) -> None:
        await self.server.emit("workers", document, namespace=NAMESPACE)

    async def _close_those_not_known(self) -> None:
        while True:
            await asyncio.sleep(self._token_look)
            for sid, token in list(self._tokens.items()):
                if self._problem(token, Role.VIEWER) is not None:
                    await self.server.disconnect(sid, namespace=NAMESPACE)

    def _problem(self, token: str | None, needed: Role) -> dict[str, Any] | None:
        """Why not; asked at every event anew, since tokens are taken back while sockets are open."""
        try:
            return refusal(self._access.caller(token), needed)
        except NotKnown as error:
            return problem_document(401, f"{error}; send it as `auth: {{token}}` when you connect")

    async def _disconnect(self, sid: str, reason: str) -> None:
        self._tokens.pop(sid, None)
        for run_id in self._hub.subscriptions(sid):
            self._hub.unsubscribe(sid, run_id)

    def _answering(
        self, role: Role, handle: Callable[[str, Any], Coroutine[Any, Any, Answer]]
    ) -> Callable[..., Coroutine[Any, Any, Answer]]:
        """Every error becomes an answer with a problem document, as in the REST API."""

        async def answer(sid: str, data: Any = None) -> Answer:
            problem = self._problem(self._tokens.get(sid), role)
            if problem is not None:
                return {"ok": False, "problem": problem}
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
        if sid not in self._tokens:  # it has gone while we looked
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


async def _refuse(problem: dict[str, Any], scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013, "reason": problem["detail"]})
    else:
        await problem_response(problem, {"Connection": "close"})(scope, receive, send)
