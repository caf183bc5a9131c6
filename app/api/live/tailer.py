"""One tailer for each run that is followed: reads the feed once, whoever and however many look on.

The feed has one order, so whoever says where he stands (a cursor) can be given what follows. That is all there is to
missing nothing and getting nothing twice: the tailer hands out no events, it keeps the recent ones and tells that
there are new ones; each follower goes on from a cursor of his own, reading here what is recent, and from the database
what is not. There is no moment of joining in which an event could be lost between "old" and "live".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from app.api.live.recent import RecentEvents
from app.api.views import progress_message, status_message
from app.domain.errors import NotFound, Unavailable
from app.domain.event import RUN_STATE, RecordedEvent
from app.domain.run import Run, RunState
from app.runs.reading.progress import ProgressFold

log = structlog.get_logger()

PAGE = 1000
RECENT = 5000  # events
PROGRESS_INTERVAL = 0.2  # seconds: at most 5 a second
POLL, IDLE_POLL = 0.1, 1.0  # seconds between looks at a run that goes on, and at one that has ended
RETRY = 1.0  # seconds, when the database is away

ReadFeed = Callable[[str | None, int], Awaitable[list[RecordedEvent]]]
ReadRun = Callable[[], Awaitable[Run]]
Tell = Callable[[str, dict[str, Any]], Awaitable[None]]


class Tailer:
    """Follows one run's feed; tells its state and progress to everybody who looks on.

    Args:
        run: as it stood when the first one asked.
        read_feed: events after a cursor, at most so many.
        read_run: the run as it stands now.
        tell: sends ``run.status`` and ``run.progress`` to everybody who looks on.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        run: Run,
        read_feed: ReadFeed,
        read_run: ReadRun,
        tell: Tell,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._read_feed = read_feed
        self._read_run = read_run
        self._tell = tell
        self._clock = clock
        self._recent = RecentEvents(RECENT)
        self._fold = ProgressFold(run.requested)
        self._cursor: str | None = None
        self._news = asyncio.Event()
        self._is_current = False
        self._new_state: RunState | None = None
        self._progressed = False
        self._told_at = 0.0
        self._read_at = self._clock()

    @property
    def lag(self) -> float:
        """Seconds since the feed was last read to its end."""
        return self._clock() - self._read_at

    async def follow(self, cursor: str | None, limit: int) -> list[RecordedEvent]:
        """The next events after the cursor, at least one: waits until there are some.

        Raises:
            Unavailable: they are not recent, and the database is away.
        """
        while True:
            news = self._news  # before looking: what comes later sets it
            events = self._recent.after(cursor, limit)
            if events is None:
                events = await self._read_feed(cursor, limit)
            if events:
                return events
            await news.wait()

    def present(self) -> list[tuple[str, dict[str, Any]]]:
        """What to tell somebody who has just come."""
        messages = [("run.status", status_message(self._run))]
        if self._is_current:
            messages.append(("run.progress", progress_message(self._run.id, self._fold)))
        return messages

    async def run(self) -> None:
        """Follow the feed until cancelled, or until the run is deleted."""
        while True:
            try:
                await self._look()
            except NotFound:
                return
            except Unavailable as error:
                log.warning("the event feed waits for the database", run_id=self._run.id, reason=str(error))
                await asyncio.sleep(RETRY)

    async def _look(self) -> None:
        events = await self._read_feed(self._cursor, PAGE)
        if events:
            self._take(events)
        if len(events) == PAGE:
            return
        self._is_current = True
        self._read_at = self._clock()
        await self._publish()
        await asyncio.sleep(IDLE_POLL if self._run.state.is_terminal else POLL)

    def _take(self, events: list[RecordedEvent]) -> None:
        for recorded in events:
            self._fold.apply(recorded.event)
            if recorded.event.kind == RUN_STATE:
                self._new_state = RunState(recorded.event.data["state"])
        self._cursor = events[-1].cursor
        self._recent.extend(events)
        self._progressed = True
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def _publish(self) -> None:
        """Tell the progress when its time has come; a new state is told behind the progress that led to it."""
        due_in = self._told_at + PROGRESS_INTERVAL - self._clock()
        if self._progressed and (due_in <= 0 or self._new_state):
            await asyncio.sleep(max(due_in, 0.0))
            self._told_at = self._clock()
            self._progressed = False
            await self._tell("run.progress", progress_message(self._run.id, self._fold))
        if self._new_state:
            run = await self._read_run()
            # The row may be ahead of the feed; the state that is told is never ahead of the progress.
            self._run = run if run.state is self._new_state else replace(run, state=self._new_state, reason="")
            self._new_state = None
            await self._tell("run.status", status_message(self._run))
