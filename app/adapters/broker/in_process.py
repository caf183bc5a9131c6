"""The broker port within one process, for the embedded mode: the same contract, nothing to install.

It ends with its process; what was not finished is published again from the rows when the next one starts.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import cast

from app.domain.errors import PublishFailed, Unavailable
from app.ports import DEAD_QUEUE, DELIVERY_LIMIT, Delivery, Message, QueueDepth

CLOSED = "the in-process broker was closed"


@dataclass(frozen=True, slots=True)
class _Queued:
    """A message in its queue; ``position`` is its place in the order of publishing, also when it comes back."""

    position: int
    message: Message
    returns: int = 0  # times that it came back without being acknowledged
    origin: str = ""  # of a dead one: the queue it was in

    def returned(self, limit: int) -> _Queued:
        """As it comes back: to its queue, or to the dead one when it has come back too often."""
        if self.returns < limit or self.origin:
            return replace(self, returns=self.returns + 1)
        return _Queued(self.position, replace(self.message, queue=DEAD_QUEUE), origin=self.message.queue)


class InProcessBroker:
    """Queues in memory, each first in, first out."""

    def __init__(self, delivery_limit: int = DELIVERY_LIMIT) -> None:
        self._delivery_limit = delivery_limit
        self._changed = threading.Condition()  # guards everything here and in the subscriptions
        self._queues: dict[str, deque[_Queued]] = {}
        self._subscriptions: set[InProcessSubscription] = set()
        self._positions = count()
        self._closed = False

    def declare(self, queues: Sequence[str]) -> None:
        """Make the queues and the dead one; does nothing to those that are there. Raises Unavailable once closed."""
        with self._changed:
            self._check(())
            for queue in (*queues, DEAD_QUEUE):
                self._queues.setdefault(queue, deque())

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all. Raises PublishFailed: names those whose queue does not exist; all of them once closed."""
        with self._changed:
            if self._closed:
                raise PublishFailed(CLOSED, [message.id for message in messages])
            open_queues = self._queues.keys() - {DEAD_QUEUE}
            lost = [message for message in messages if message.queue not in open_queues]
            for message in messages:
                if message.queue in open_queues:
                    self._queues[message.queue].append(_Queued(next(self._positions), message))
            self._changed.notify_all()
        if lost:
            queues = ", ".join(sorted({message.queue for message in lost}))
            ids = [message.id for message in lost]
            raise PublishFailed(f"{len(lost)} of {len(messages)} messages have no queue ({queues})", ids)

    def subscribe(self, queues: Sequence[str], prefetch: int) -> InProcessSubscription:
        """Consume from the queues, which share ``prefetch``. Raises Unavailable when one does not exist."""
        with self._changed:
            self._check(queues)
            subscription = InProcessSubscription(self, queues, prefetch)
            self._subscriptions.add(subscription)
            return subscription

    def depth(self, queue: str) -> QueueDepth:
        """What waits in a queue, and how many subscriptions it has. Raises Unavailable when it does not exist."""
        with self._changed:
            self._check([queue])
            consumers = sum(queue in subscription.queues for subscription in self._subscriptions)
            return QueueDepth(len(self._queues[queue]), consumers)

    def purge(self, queue: str) -> int:
        """Throw away what waits in a queue. Raises Unavailable when it does not exist."""
        with self._changed:
            self._check([queue])
            count = len(self._queues[queue])
            self._queues[queue].clear()
            return count

    def trouble(self) -> str:
        """Why it would take no message: only because it was closed."""
        return CLOSED if self._closed else ""

    def close(self) -> None:
        """End the broker and its subscriptions."""
        with self._changed:
            self._closed = True
            for subscription in list(self._subscriptions):
                subscription.close()

    def _check(self, queues: Sequence[str]) -> None:
        if self._closed:
            raise Unavailable(CLOSED)
        if missing := [queue for queue in queues if queue not in self._queues]:
            raise Unavailable(f"there is no queue {missing[0]!r} (it is made when a worker or a run starts)")

    # For the subscriptions, which hold the lock.

    def _oldest(self, queues: Collection[str]) -> deque[_Queued] | None:
        """Of these queues the one whose first message was published first; None when all are empty."""
        filled = [self._queues[queue] for queue in queues if self._queues[queue]]
        return min(filled, key=lambda queue: queue[0].position, default=None)

    def _put_back(self, returned: Iterable[_Queued]) -> None:
        for queued in returned:
            again = queued.returned(self._delivery_limit)
            insort(self._queues[again.message.queue], again, key=lambda item: item.position)
        self._changed.notify_all()


class InProcessSubscription:
    """A consumer of some queues; holds at most ``prefetch`` messages that are not settled, and perhaps some more."""

    def __init__(self, broker: InProcessBroker, queues: Sequence[str], prefetch: int) -> None:
        self.queues = frozenset(queues)
        self._broker = broker
        self._changed = broker._changed
        self._prefetch = self._most = prefetch
        self._unsettled: dict[int, _Queued] = {}  # by position
        self._closed = False

    def receive(self, maximum: int, timeout: float) -> list[Delivery]:
        """Up to ``maximum`` deliveries; waits up to ``timeout`` seconds for the first one."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._source() is not None, timeout)
            deliveries: list[Delivery] = []
            while len(deliveries) < maximum and (queue := self._source()):
                deliveries.append(self._deliver(queue.popleft()))
            return deliveries

    def widen(self, more: int) -> None:
        """Hold up to so many more than ``prefetch``."""
        with self._changed:
            self._most = self._prefetch + more
            self._changed.notify_all()

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Done with these."""
        with self._changed:
            self._settle(deliveries)
            self._changed.notify_all()

    def still_ours(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """All that are not settled, until it is closed."""
        with self._changed:
            return [delivery for delivery in deliveries if delivery.tag in self._unsettled]

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Not begun: put them back for somebody else."""
        with self._changed:
            self._broker._put_back(self._settle(deliveries))

    @property
    def is_consuming(self) -> bool:
        """Until it is closed."""
        return not self._closed

    def close(self) -> None:
        """Stop consuming; what was not acknowledged goes back to its queue."""
        with self._changed:
            self._closed = True
            self._broker._subscriptions.discard(self)
            self._broker._put_back(self._unsettled.values())
            self._unsettled.clear()

    def _source(self) -> deque[_Queued] | None:
        """The queue to take from next; None when there is nothing, or nothing more may be held."""
        if self._closed or len(self._unsettled) >= self._most:
            return None
        return self._broker._oldest(self.queues)

    def _deliver(self, queued: _Queued) -> Delivery:
        self._unsettled[queued.position] = queued
        message, cause = queued.message, "delivery_limit" if queued.origin else ""
        redelivered = queued.returns > 0
        return Delivery(queued.position, message.id, message.queue, message.body, redelivered, queued.origin, cause)

    def _settle(self, deliveries: Sequence[Delivery]) -> list[_Queued]:
        """Those of the deliveries that are still ours."""
        positions = [cast(int, delivery.tag) for delivery in deliveries]
        return [self._unsettled.pop(position) for position in positions if position in self._unsettled]
