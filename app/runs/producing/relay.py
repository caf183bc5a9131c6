"""The relay: publishes what the outbox holds. Back-pressure is here, and only here.

Rows first, then publish, then forget: an entry is removed only after the broker has confirmed its message. No
transaction is open while the broker is waited for. A relay that dies in between publishes the message again, which does
no harm; it alone takes this run's entries, as the lease is one producer's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from app.domain.errors import PublishFailed, Unavailable
from app.domain.job import INLINE_QUEUE
from app.domain.records import record
from app.domain.run import RunState
from app.domain.work import OutboxMessage
from app.ports import Broker, Message, UnitOfWork
from app.runs.producing.lease import Lease, LeaseLost
from app.runs.producing.notes import Notes
from app.runs.producing.spans import ProducerSpans
from app.util.threads import WatchedThread

log = structlog.get_logger()

GROUP = 500
IDLE = 0.1  # seconds between two looks at an empty outbox; workers, too, write into it
COUNT_EVERY = 0.25  # seconds between two counts of what is published, when there is no room
RETRY = 1.0  # seconds after a broker or database that could not be reached
_TOPIC = "broker"


@record(frozen=True, slots=True)
class Confirmed:
    """Messages that the broker has, and whose entries are to be removed."""

    messages: list[OutboxMessage]
    seconds: float


class Relay:
    """A thread that publishes one run's jobs while fewer than ``mark`` of them are with the broker or a worker."""

    def __init__(
        self,
        lease: Lease,
        broker: Broker,
        inline: Broker,
        body: Callable[[OutboxMessage], bytes],
        mark: int,
        notes: Notes,
        spans: ProducerSpans | None = None,
    ) -> None:
        """``body``: what a job says. ``spans``: None without tracing."""
        self._lease = lease
        self._broker = broker
        self._inline = inline
        self._mark = mark
        self._notes = notes
        self._body = body
        self._spans = spans
        self._room = 0
        self._count_at = 0.0
        self._unrecorded: Confirmed | None = None
        self._stopping = threading.Event()
        self._something_new = threading.Event()
        self._thread = WatchedThread(self._loop, f"relay-{lease.run_id[:8]}")
        self.trouble = ""  # why nothing is being published, for people

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Jobs have been written just now."""
        self._something_new.set()

    def stop(self) -> None:
        self._stopping.set()
        self._something_new.set()
        self._thread.join()

    def check(self) -> None:
        """Raises RuntimeError when its thread died, which is a defect."""
        self._thread.check()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._something_new.clear()
            try:
                if not self._publish_some():
                    self._something_new.wait(IDLE)
            except LeaseLost:
                return  # whoever waits for the run's end sees it, too
            except Unavailable as error:
                if str(error) != self.trouble:
                    log.warning("jobs can't be published", run_id=self._lease.run_id, reason=str(error))
                self.trouble = str(error)
                self._stopping.wait(RETRY)

    def _publish_some(self) -> bool:
        self._record()
        if self._room <= 0 and time.monotonic() < self._count_at:
            return False
        taken = self._lease.attempt(self._take)
        if not taken:
            return False
        begun = time.monotonic()
        confirmed, failure = self._publish(taken)
        if confirmed:
            self._unrecorded = Confirmed(confirmed, time.monotonic() - begun)
            self._room -= len(confirmed)
            if self._spans is not None:
                self._spans.published(confirmed, self._unrecorded.seconds)
        if failure is not None:
            self._notes.begin(_TOPIC, f"jobs can't be published: {failure}")
            self._record()
            raise failure
        self.trouble = ""
        self._notes.end(_TOPIC, "jobs are published again")
        self._record()
        return True

    def _take(self, work: UnitOfWork, state: RunState) -> list[OutboxMessage]:
        """The next entries, unless the run is paused, or has as many jobs out as it may."""
        if state is RunState.PAUSED:
            return []
        if self._room <= 0:
            self._count_at = time.monotonic() + COUNT_EVERY
            self._room = self._mark - work.jobs.published(self._lease.run_id)
        if self._room <= 0:
            return []
        return work.outbox.take(self._lease.run_id, min(GROUP, self._room))

    def _record(self) -> None:
        """Forget what is confirmed; tried again before anything else when the database is away now."""
        if self._unrecorded is not None:
            confirmed = self._unrecorded
            self._lease.attempt(lambda work, _: work.outbox.sent(confirmed.messages, confirmed.seconds))
            self._unrecorded = None

    def _publish(self, taken: list[OutboxMessage]) -> tuple[list[OutboxMessage], Unavailable | None]:
        """Those that were confirmed, which must not be published again with the rest, and what kept the rest back."""
        unconfirmed: set[str] = set()
        failure: Unavailable | None = None
        for broker, is_inline in ((self._broker, False), (self._inline, True)):
            entries = [entry for entry in taken if (entry.queue == INLINE_QUEUE) is is_inline]
            if not entries:
                continue
            try:
                broker.publish([self._message(entry) for entry in entries])
            except PublishFailed as error:
                unconfirmed.update(error.unconfirmed)
                failure = error
            except Unavailable as error:
                unconfirmed.update(entry.job_id for entry in entries)
                failure = error
        return [entry for entry in taken if entry.job_id not in unconfirmed], failure

    def _message(self, entry: OutboxMessage) -> Message:
        traceparent = "" if self._spans is None else self._spans.traceparent(entry.order_number)
        return Message(entry.job_id, entry.queue, self._body(entry), traceparent)
