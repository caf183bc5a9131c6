"""A run that waits says what for, once nothing of it has ended for a while."""

from __future__ import annotations

import time
from collections.abc import Iterator

from app.domain.errors import Unavailable
from app.domain.run import OrderState, RunState
from app.domain.work import PAUSE, PURGED, REOPENED, ParkedCount
from app.ports import UnitOfWork
from app.runs.parts import Parts
from app.runs.producing.lease import Lease
from app.runs.producing.notes import Notes
from app.runs.producing.parking import destination_name
from app.runs.producing.relay import Relay
from app.runs.producing.sweep import broker_of
from app.runs.reading.progress import ProgressFold
from app.runs.reading.summary import SummaryFold

_TOPIC = "stall"
_WAITING_FOR = {PAUSE: "the end of a pause", REOPENED: "their producer"}


class Stall:
    """Watches one run while it waits for its workers."""

    def __init__(
        self,
        parts: Parts,
        lease: Lease,
        notes: Notes,
        queues: list[str],
        relay: Relay,
        fold: SummaryFold,
        progress: ProgressFold,
    ) -> None:
        self._parts = parts
        self._lease = lease
        self._notes = notes
        self._queues = queues
        self._relay = relay
        self._fold = fold
        self._progress = progress
        self._seen = -1
        self._tell_at = 0.0

    def look(self) -> None:
        """Raises Unavailable when the database is away."""
        ended, now = self._fold.ended + self._fold.jobs["succeeded"], time.monotonic()
        if ended != self._seen or self._lease.state is not RunState.WAITING_ON_WORKERS:
            self._seen, self._tell_at = ended, now + self._parts.rhythm.stall
            self._notes.end(_TOPIC)
        elif now >= self._tell_at:
            self._tell_at = now + self._parts.rhythm.stall
            self._tell()

    def _tell(self) -> None:
        orders, reasons = self._lease.attempt(lambda work, _: (self._unfinished(work), [*self._in_rows(work)]))
        reasons += self._outside()
        if orders:
            self._notes.tell(_TOPIC, f"waiting for {orders} orders: {'; '.join(reasons) or 'nothing is known of them'}")

    def _unfinished(self, work: UnitOfWork) -> int:
        counts = work.orders.counts(self._lease.run_id)
        return counts[OrderState.SENDING] + counts[OrderState.WAITING]

    def _in_rows(self, work: UnitOfWork) -> Iterator[str]:
        for count in work.jobs.parked(self._lease.run_id):
            yield f"{count.jobs} jobs are parked for {_what(count)}"
        if unpublished := work.outbox.waiting(self._lease.run_id):
            yield f"{unpublished} jobs are to be published, now or when they are due"

    def _outside(self) -> Iterator[str]:
        if self._relay.trouble:
            yield f"jobs can't be published: {self._relay.trouble}"
        for queue in self._queues:
            try:
                depth = broker_of(self._parts, queue).depth(queue)
            except Unavailable as error:
                yield f"queue {queue} can't be asked: {error}"
                continue
            if depth.ready:
                yield f"queue {queue} has {depth.ready} messages and {depth.consumers or 'no'} consumers"
        if self._progress.running:
            yield f"{self._progress.running} jobs are claimed by workers"


def _what(count: ParkedCount) -> str:
    if count.waiting_for.startswith(PURGED):
        return f"an operator: `yeeter queues release {count.waiting_for.removeprefix(PURGED)}`"
    return _WAITING_FOR.get(count.waiting_for) or destination_name(count.waiting_for)
