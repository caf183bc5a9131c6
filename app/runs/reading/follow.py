"""Following a run's event feed into a fold, in a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from app.domain.errors import Unavailable
from app.domain.event import RecordedEvent
from app.ports import EventFeed
from app.runs.patience import patiently
from app.util.threads import WatchedThread

log = structlog.get_logger()

PAGE = 2000
IDLE = 0.1  # seconds between two looks when nothing is new
SETTLING = 0.02  # seconds between two looks at events that another transaction holds back


class FeedFollower:
    """Hands every event of a run to ``apply``, in order, each once."""

    def __init__(
        self,
        feed: EventFeed,
        run_id: str,
        apply: Callable[[RecordedEvent], None],
        is_worth_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """``is_worth_waiting`` raises what ends the waiting for a database that is away."""
        self._feed = feed
        self._is_worth_waiting = is_worth_waiting
        self._run_id = run_id
        self._apply = apply
        self._cursor: str | None = None
        self._stopping = threading.Event()
        self._turn = threading.Lock()
        self._thread = WatchedThread(self._loop, f"feed-{run_id[:8]}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def check(self) -> None:
        """Raises RuntimeError when its thread died, which is a defect: events have been lost to ``apply``."""
        self._thread.check()

    def catch_up(self) -> None:
        """Read on until every event that is committed by now has been applied, however long the database takes.

        Raises:
            RuntimeError: as ``check`` does.
        """
        self.check()
        while patiently(self._is_held_back, self._is_worth_waiting):
            time.sleep(SETTLING)

    def _is_held_back(self) -> bool:
        held_back = self._feed.holds_back(self._run_id)
        self._read_on()
        return held_back

    def _read_on(self) -> None:
        with self._turn:
            while True:
                events, self._cursor = self._feed.read(self._run_id, self._cursor, PAGE)
                for event in events:
                    self._apply(event)
                if len(events) < PAGE:
                    return

    def _loop(self) -> None:
        said = ""
        while not self._stopping.wait(IDLE):
            try:
                self._read_on()
                said = ""
            except Unavailable as error:
                if str(error) != said:
                    log.warning("the event feed waits for the database", reason=str(error))
                said = str(error)
