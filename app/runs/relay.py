"""The relay: publishes what the outbox holds. Back-pressure is here, and only here.

Rows first, then publish, then forget: an entry is removed only after the broker has confirmed its message, in the
transaction that locked it. A relay that dies in between publishes the message again, which does no harm.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from app.domain.errors import PublishFailed, Unavailable
from app.domain.job import INLINE_QUEUE
from app.domain.work import OutboxMessage
from app.ports import Broker, Database, Message
from app.util.threads import WatchedThread

log = structlog.get_logger()

GROUP = 500
IDLE = 0.02  # seconds between two looks at an empty outbox
RETRY = 1.0  # seconds after a broker or database that could not be reached


class Relay:
    """A thread that publishes one run's jobs while fewer than ``mark`` of them are published and unfinished."""

    def __init__(
        self,
        run_id: str,
        database: Database,
        broker: Broker,
        inline: Broker,
        mark: int,
        published: int,
        finished: Callable[[], int],
    ) -> None:
        self._run_id = run_id
        self._database = database
        self._broker = broker
        self._inline = inline
        self._mark = mark
        self._published = published
        self._finished = finished
        self._stopping = threading.Event()
        self._thread = WatchedThread(self._loop, f"relay-{run_id[:8]}")
        self.trouble = ""  # why nothing is being published, for people

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def check(self) -> None:
        """Raises RuntimeError when its thread died, which is a defect."""
        self._thread.check()

    def _loop(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                pause = 0.0 if self._publish_some() else IDLE
                self.trouble = ""
            except Unavailable as error:
                if str(error) != self.trouble:
                    log.warning("jobs can't be published", run_id=self._run_id, reason=str(error))
                self.trouble = str(error)
                pause = RETRY

    def _publish_some(self) -> bool:
        room = self._mark - (self._published - self._finished())
        if room <= 0:
            return False
        with self._database.transaction() as work:
            taken = work.outbox.take(self._run_id, min(GROUP, room))
            if not taken:
                return False
            begun = time.monotonic()
            confirmed, failure = self._publish(taken)
            work.outbox.sent(confirmed, time.monotonic() - begun)
        self._published += len(confirmed)
        if failure is not None:
            raise failure
        return True

    def _publish(self, taken: list[OutboxMessage]) -> tuple[list[OutboxMessage], PublishFailed | None]:
        """Those that were confirmed, which must not be published again with the rest, and what kept the rest back."""
        unconfirmed: set[str] = set()
        failure = None
        for broker, inline in ((self._broker, False), (self._inline, True)):
            try:
                broker.publish([_message(entry) for entry in taken if (entry.queue == INLINE_QUEUE) is inline])
            except PublishFailed as error:
                unconfirmed.update(error.unconfirmed)
                failure = error
        return [entry for entry in taken if entry.job_id not in unconfirmed], failure


def _message(entry: OutboxMessage) -> Message:
    return Message(entry.job_id, entry.queue, entry.body.encode())
