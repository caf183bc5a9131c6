"""A broker of jobs, and what comes from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from app.domain.records import record

DEAD_QUEUE = "yeeter.dead"  # what the broker gave up; it is subscribed to like any other queue
DELIVERY_LIMIT = 20  # times that a message may come back without being acknowledged; after one more it is dead


@record(frozen=True, slots=True)
class Message:
    """A message to publish: persistent, mandatory, confirmed.

    ``traceparent``: W3C trace context that a broker's own messages carry beside the body; empty: none.
    """

    id: str
    queue: str
    body: bytes
    traceparent: str = ""


@record(frozen=True, slots=True)
class Delivery:
    """A message that is ours until it is acknowledged or given back. ``tag`` belongs to the adapter.

    One of the dead queue also says which queue it was in (``origin``), and why it is there no more (``cause``, in the
    broker's word): ``delivery_limit``; ``expired``, ``rejected`` or ``maxlen`` where an operator's policy brings that.
    """

    tag: object
    message_id: str
    queue: str
    body: bytes
    redelivered: bool
    origin: str = ""
    cause: str = ""


@record(frozen=True, slots=True)
class QueueDepth:
    """What waits in a queue. A subscription is one consumer of it, or two while it may hold more than its prefetch."""

    ready: int
    consumers: int


class Subscription(Protocol):
    """A consumer of one or several queues. Every method may be called from any thread."""

    def receive(self, maximum: int, timeout: float) -> list[Delivery]:
        """Up to ``maximum`` deliveries; waits up to ``timeout`` seconds for the first one, never for more.

        An empty list means none came. After a lost connection it reconnects by itself; what was delivered before
        comes again, marked redelivered, and acknowledging the old delivery then does nothing.

        Raises:
            Unavailable: a queue is gone, or may not be consumed from any more: says which and what to do. Consuming
                goes on when that is mended. A queue that this broker declared before is declared again by itself.
        """
        ...

    def widen(self, more: int) -> None:
        """Hold up to so many messages more than the subscription's prefetch, until the next call; 0: no more than it.

        Nobody waits for it. What is held beyond that stays until it is settled; a few that are on their way to us
        just then may go back, and come again marked redelivered.
        """
        ...

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Done with these. Order does not matter; each is acknowledged once."""
        ...

    def still_ours(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those, of deliveries that are not settled, that did not go back to their queue with a lost connection.

        The others come again, to us or to somebody else.
        """
        ...

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Not begun: put them back for somebody else (shutdown only, never as a retry).

        Whether it counts against the delivery limit differs between brokers, and between versions of one.
        """
        ...

    @property
    def is_consuming(self) -> bool:
        """Whether the broker is there and brings messages; asks nobody."""
        ...

    def close(self) -> None:
        """Stop consuming; what is neither acknowledged nor given back goes back to the queue."""
        ...


class Broker(Protocol):
    """Durable work queues. Methods are thread-safe.

    A message that came back more than ``DELIVERY_LIMIT`` times is moved to ``DEAD_QUEUE``, at least once, and stays
    there until it is acknowledged, however often it is delivered. Nobody publishes to that queue.

    Raises (all methods): Unavailable when the broker can't be reached or refuses.
    """

    def declare(self, queues: Sequence[str]) -> None:
        """Make the queues and ``DEAD_QUEUE``, durable; does nothing to those that are there."""
        ...

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all and return when the broker has confirmed every one.

        Raises:
            PublishFailed: names the message ids that were not confirmed (they may still arrive).
        """
        ...

    def subscribe(self, queues: Sequence[str], prefetch: int) -> Subscription: ...

    def depth(self, queue: str) -> QueueDepth: ...

    def purge(self, queue: str) -> int:
        """Throw away the messages that wait in a queue, not those that somebody holds; how many."""
        ...

    def trouble(self) -> str:
        """Why the broker would take no message now (away, or an alarm of its memory or disk); "" when it would.

        It asks the broker: a round trip, and several seconds when the broker does not answer. Raises nothing.
        """
        ...

    def close(self) -> None: ...
