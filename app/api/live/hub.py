"""Who looks on at which run: a tailer for each run, a follower for each client that asked for its events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import structlog
from anyio import CapacityLimiter, to_thread

from app.api.live.tailer import Tailer
from app.api.views import event_view
from app.domain.errors import Unavailable
from app.domain.event import RecordedEvent
from app.domain.run import Run
from app.ports import Database

log = structlog.get_logger()

Result = TypeVar("Result")

BATCH = 200  # events in one message
LINGER = 30.0  # seconds a tailer goes on with nobody looking, for those who come back
RETRY = 1.0  # seconds, when the database is away
DATABASE_THREADS = 4  # so that many followers leave threads to the REST routes


class Outlet(Protocol):
    """The clients, by their session ids."""

    async def to_client(self, sid: str, event: str, data: dict[str, Any]) -> None: ...

    async def to_room(self, room: str, event: str, data: dict[str, Any]) -> None: ...

    async def has_room(self, sid: str) -> None:
        """Wait until the client has taken most of what was sent to it."""
        ...


@dataclass(slots=True)
class _Watch:
    """A run that is followed: its tailer, and by session id the follower of each who asked for events."""

    tailer: Tailer
    task: asyncio.Task[None]
    followers: dict[str, asyncio.Task[None] | None] = field(default_factory=dict)
    ending: asyncio.TimerHandle | None = None


class Hub:
    """Used on the event loop only, but for ``lag``."""

    def __init__(self, database: Database, outlet: Outlet, linger: float = LINGER) -> None:
        self._database = database
        self._outlet = outlet
        self._linger = linger
        self._threads = CapacityLimiter(DATABASE_THREADS)
        self._watches: dict[str, _Watch] = {}

    async def find(self, id_or_key: str, cursor: str | None) -> Run:
        """The run to follow. Raises NotFound; InvalidInput for a cursor that is not one."""
        return await self._in_thread(self._find, id_or_key, cursor)

    async def subscribe(self, sid: str, run: Run, cursor: str | None, events: bool) -> None:
        """Tell this client of the run from now on, and its events after the cursor where asked for."""
        watch = self._watches.get(run.id) or self._watch(run)
        if watch.ending is not None:
            watch.ending.cancel()
            watch.ending = None
        self._stop_following(watch, sid)
        for event, message in watch.tailer.present():
            await self._outlet.to_client(sid, event, message)
        watch.followers[sid] = _spawn(self._follow(sid, run.id, watch.tailer, cursor)) if events else None

    def unsubscribe(self, sid: str, run_id: str) -> None:
        watch = self._watches.get(run_id)
        if watch is not None and sid in watch.followers:
            self._stop_following(watch, sid)
            if not watch.followers:
                watch.ending = asyncio.get_running_loop().call_later(self._linger, self._forget, run_id)

    def subscriptions(self, sid: str) -> list[str]:
        """The runs that this client looks on at."""
        return [run_id for run_id, watch in self._watches.items() if sid in watch.followers]

    def lag(self) -> float:
        """Seconds since the feed that is furthest behind was read to its end; 0 while nobody looks on."""
        return max((watch.tailer.lag for watch in list(self._watches.values())), default=0.0)

    def close(self) -> None:
        for run_id in list(self._watches):
            self._forget(run_id)

    # --- runs ---

    def _watch(self, run: Run) -> _Watch:
        async def read_feed(cursor: str | None, limit: int) -> list[RecordedEvent]:
            events, _ = await self._in_thread(self._database.feed.read, run.id, cursor, limit)
            return events

        async def read_run() -> Run:
            return await self._in_thread(self._find, run.id, None)

        async def tell(event: str, message: dict[str, Any]) -> None:
            await self._outlet.to_room(run.id, event, message)

        tailer = Tailer(run, read_feed, read_run, tell)
        watch = _Watch(tailer, _spawn(tailer.run()))
        self._watches[run.id] = watch
        return watch

    def _forget(self, run_id: str) -> None:
        watch = self._watches.pop(run_id)
        watch.task.cancel()
        for sid in list(watch.followers):
            self._stop_following(watch, sid)

    # --- followers ---

    def _stop_following(self, watch: _Watch, sid: str) -> None:
        follower = watch.followers.pop(sid, None)
        if follower is not None:
            follower.cancel()

    async def _follow(self, sid: str, run_id: str, tailer: Tailer, cursor: str | None) -> None:
        """Send the events after the cursor, in batches, as fast as this client takes them."""
        while True:
            await self._outlet.has_room(sid)
            try:
                events = await tailer.follow(cursor, BATCH)
            except Unavailable as error:
                log.warning("a follower waits for the database", run_id=run_id, reason=str(error))
                await asyncio.sleep(RETRY)
                continue
            cursor = events[-1].cursor
            views = [event_view(event).model_dump(mode="json") for event in events]
            await self._outlet.to_client(sid, "run.event", {"run_id": run_id, "events": views, "cursor": cursor})

    # --- the database ---

    def _find(self, id_or_key: str, cursor: str | None) -> Run:
        with self._database.transaction() as work:
            run = work.runs.get(id_or_key)
        if cursor is not None:
            self._database.feed.read(run.id, cursor, 1)
        return run

    async def _in_thread(self, call: Callable[..., Result], *arguments: Any) -> Result:
        return await to_thread.run_sync(call, *arguments, limiter=self._threads)


def _spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a defect ended a live feed", error=repr(error), exc_info=error)
