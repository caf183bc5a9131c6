"""The broker port over RabbitMQ: quorum queues behind one direct exchange, and a place for dead messages."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import cast
from weakref import WeakSet

from app.domain.errors import InvalidInput, Problem, PublishFailed, Unavailable
from app.ports import DEAD_QUEUE, DELIVERY_LIMIT, Delivery, Message, QueueDepth
from app.util.rabbitmq_client import BLOCKED, CLOSED_HERE, CONNECT_SECONDS
from app.util.rabbitmq_consumer import Incoming, RabbitMqConsumer
from app.util.rabbitmq_errors import ConnectionLost, RabbitMqError, Refused
from app.util.rabbitmq_parameters import locate
from app.util.rabbitmq_publisher import UNROUTABLE, Outgoing, RabbitMqPublisher, Unconfirmed

JOBS_EXCHANGE = "yeeter.jobs"  # the routing key is the queue's name
DEAD_EXCHANGE = "yeeter.dead"

WORK_QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD_EXCHANGE,
    "x-dead-letter-routing-key": DEAD_QUEUE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # a full queue refuses and drops nothing; at-least-once needs it, too
    "x-max-length": 2_000_000,
}
# A quorum queue of RabbitMQ 4 that sets no delivery limit has one of 20, and what exceeds it here would be lost.
DEAD_QUEUE_ARGUMENTS = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}

MISSING = "NOT_FOUND"
MADE_AGAIN = "somebody deleted it; it is made again"
CURES = {  # by what the text holds
    "ACCESS_REFUSED": "check the user, the password and the user's permissions",
    "NOT_ALLOWED": "check the virtual host, and that the user may use it",
    MISSING: "queues are made when a worker or a run starts",
    UNROUTABLE: "queues are made when a worker or a run starts",
    BLOCKED: "give its machine memory or disk space; what waits is published then",
    "certificate": "check YEETER_TLS_CA_FILE, and that the certificate names the host of RABBITMQ_URL",
    "before it spoke AMQP": "a port for TLS wants amqps:// in RABBITMQ_URL, and perhaps YEETER_TLS_CERT_FILE",
    "TLS": "does that port speak TLS? A plain one wants amqp:// in RABBITMQ_URL",
    "refused by the broker": "its queue is full: start workers",
    CLOSED_HERE: "a fault of this program",
    "PRECONDITION_FAILED": "it was made with other arguments: delete it, or name another queue",
}


class RabbitMqBroker:
    """Publishes over one connection, and consumes over another for each subscription: none can hold up the others.

    Args:
        url: ``amqp://user:password@host:port/vhost``, or ``amqps://``; nothing is connected before the first use.
        connect_seconds: how long a call waits for a connection that is not there.
        tls: what ``amqps://`` trusts and shows; None: the system's CAs.

    Raises:
        InvalidInput: no such URL.
    """

    def __init__(self, url: str, connect_seconds: float = CONNECT_SECONDS, tls: ssl.SSLContext | None = None) -> None:
        try:
            self._place = f"RabbitMQ at {locate(url)}"
        except ValueError as error:
            cure = "percent-encode special characters of the password"
            raise InvalidInput(Problem("RABBITMQ_URL", str(error), cure)) from error
        self._url = url
        self._connect_seconds = connect_seconds
        self._tls = tls
        self._lock = threading.Lock()
        self._closed = False
        self._declared: set[str] = set()
        self._publisher: RabbitMqPublisher | None = None
        self._consumers: WeakSet[RabbitMqConsumer] = WeakSet()  # each is held by its own thread until it is closed

    def declare(self, queues: Sequence[str]) -> None:
        """Make the queues, durable; does nothing to those that are there. Raises Unavailable."""
        try:
            publisher = self._connected()
            publisher.declare_exchange(JOBS_EXCHANGE)
            publisher.declare_exchange(DEAD_EXCHANGE)
            publisher.declare_queue(DEAD_QUEUE, DEAD_EXCHANGE, DEAD_QUEUE_ARGUMENTS)
            for queue in set(queues) - {DEAD_QUEUE}:
                publisher.declare_queue(queue, JOBS_EXCHANGE, WORK_QUEUE_ARGUMENTS)
        except RabbitMqError as error:
            raise self._unavailable(error) from error
        with self._lock:
            self._declared.update(queues, [DEAD_QUEUE])

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all, and return when each is confirmed. Raises PublishFailed, whatever the reason was."""
        outgoing = [Outgoing(message.id, message.queue, message.body, _headers(message)) for message in messages]
        try:
            self._connected().publish(JOBS_EXCHANGE, outgoing)
        except RabbitMqError as error:
            raise self._not_published(error, messages) from error

    def subscribe(self, queues: Sequence[str], prefetch: int) -> RabbitMqSubscription:
        """Consume from the queues, which share ``prefetch`` evenly, at least one each. Raises Unavailable."""
        share = max(1, prefetch // len(queues))
        with self._lock:
            if self._closed:
                raise self._unavailable(ConnectionLost(CLOSED_HERE))
            consumer = RabbitMqConsumer(self._url, "yeeter consumer", queues, share, self._connect_seconds, self._tls)
            self._consumers.add(consumer)
        try:
            consumer.wait_ready()
        except RabbitMqError as error:
            consumer.close()
            raise self._unavailable(error) from error
        return RabbitMqSubscription(self, consumer)

    def depth(self, queue: str) -> QueueDepth:
        """What waits in a queue, and who consumes from it. Raises Unavailable, also when there is no such queue."""
        try:
            count = self._connected().count(queue)
        except RabbitMqError as error:
            raise self._unavailable(error) from error
        return QueueDepth(count.ready, count.consumers)

    def purge(self, queue: str) -> int:
        """Throw away what waits in a queue. Raises Unavailable, also when there is no such queue."""
        try:
            return self._connected().purge(queue)
        except RabbitMqError as error:
            raise self._unavailable(error) from error

    def trouble(self) -> str:
        """Why it would take no message now; "" if it would."""
        try:
            publisher = self._connected()
            publisher.declare_exchange(JOBS_EXCHANGE)
            publisher.probe(JOBS_EXCHANGE)
        except RabbitMqError as error:
            return str(self._unavailable(error))
        return ""

    def close(self) -> None:
        """End every connection, those of the subscriptions too."""
        with self._lock:
            self._closed = True
            consumers = list(self._consumers)
        for consumer in consumers:
            consumer.close()
        if self._publisher is not None:
            self._publisher.close()

    def _connected(self) -> RabbitMqPublisher:
        with self._lock:
            if self._closed:
                raise ConnectionLost(CLOSED_HERE)
            if self._publisher is None:
                self._publisher = RabbitMqPublisher(self._url, "yeeter publisher", self._connect_seconds, self._tls)
            return self._publisher

    def _declare_again(self, error: RabbitMqError, queues: Iterable[str]) -> bool:
        """Make again those of the queues that this process has declared, when the error says that one is gone.

        Somebody deleted it, or its binding. Nobody else makes it again while workers and runs go on.

        Raises:
            Unavailable: it can't be declared.
        """
        ours = self._declared.intersection(queues)
        if not ours or not any(sign in str(error) for sign in (MISSING, UNROUTABLE)):
            return False
        self.declare(sorted(ours))
        return True

    def _not_published(self, error: RabbitMqError, messages: Sequence[Message]) -> PublishFailed:
        ids = list(error.reasons) if isinstance(error, Unconfirmed) else [message.id for message in messages]
        named = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
        advised = _advised(error)
        with suppress(Unavailable):
            if self._declare_again(error, {message.queue for message in messages if message.id in ids}):
                advised = f"{error} ({MADE_AGAIN})"
        return PublishFailed(
            f"{self._place} did not confirm {len(ids)} of {len(messages)} messages ({named}): {advised}", ids
        )

    def _not_consumed(self, error: Refused, queues: Sequence[str]) -> Unavailable:
        if self._declare_again(error, queues):
            return Unavailable(f"{self._place}: {error} ({MADE_AGAIN})")
        return self._unavailable(error)

    def _unavailable(self, error: RabbitMqError) -> Unavailable:
        return Unavailable(f"{self._place}: {_advised(error)}")


class RabbitMqSubscription:
    """A consumer; after a lost connection, or a lost queue, it goes on by itself."""

    def __init__(self, broker: RabbitMqBroker, consumer: RabbitMqConsumer) -> None:
        self._broker = broker
        self._consumer = consumer

    def receive(self, maximum: int, timeout: float) -> list[Delivery]:
        """Up to ``maximum`` deliveries; waits up to ``timeout`` seconds for the first one. Raises Unavailable."""
        try:
            return [_delivery(incoming) for incoming in self._consumer.receive(maximum, timeout)]
        except Refused as error:
            raise self._broker._not_consumed(error, self._consumer.queues) from error

    def widen(self, more: int) -> None:
        """Hold up to so many more, which the queues share evenly."""
        self._consumer.widen(more // len(self._consumer.queues))

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Done with these."""
        self._consumer.acknowledge(_incoming(deliveries))

    def still_ours(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those whose channel is open."""
        return [delivery for delivery in deliveries if cast(Incoming, delivery.tag).channel.is_open]

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Not begun: put them back for somebody else."""
        self._consumer.requeue(_incoming(deliveries))

    @property
    def is_consuming(self) -> bool:
        """While the channel is there."""
        return self._consumer.is_ready

    def close(self) -> None:
        """Stop consuming; what was not acknowledged goes back to its queue."""
        self._consumer.close()


def _advised(error: RabbitMqError) -> str:
    """What the broker said, and what to do about it."""
    cure = next((cure for sign, cure in CURES.items() if sign in str(error)), "is it up, and RABBITMQ_URL right?")
    return f"{error} ({cure})"


def _headers(message: Message) -> dict[str, str] | None:
    return {"traceparent": message.traceparent} if message.traceparent else None


def _delivery(incoming: Incoming) -> Delivery:
    origin, cause = (str(incoming.headers.get(f"x-first-death-{what}", "")) for what in ("queue", "reason"))
    return Delivery(incoming, incoming.id, incoming.queue, incoming.body, incoming.redelivered, origin, cause)


def _incoming(deliveries: Sequence[Delivery]) -> list[Incoming]:
    return [cast(Incoming, delivery.tag) for delivery in deliveries]
