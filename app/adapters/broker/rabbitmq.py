"""The broker port over RabbitMQ: quorum queues behind one direct exchange, and a place for dead messages."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast
from weakref import WeakSet

from app.domain.errors import InvalidInput, Problem, PublishFailed, Unavailable
from app.ports import Delivery, Message, QueueDepth
from app.util.rabbitmq_client import CLOSED_HERE, CONNECT_SECONDS, ConnectionLost, RabbitMqError, locate
from app.util.rabbitmq_consumer import Incoming, RabbitMqConsumer
from app.util.rabbitmq_publisher import Outgoing, RabbitMqPublisher, Unconfirmed

JOBS_EXCHANGE = "yeeter.jobs"  # the routing key is the queue's name
DEAD_EXCHANGE = "yeeter.dead"
DEAD_QUEUE = "yeeter.dead"

WORK_QUEUE_ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 20,
    "x-dead-letter-exchange": DEAD_EXCHANGE,
    "x-dead-letter-routing-key": DEAD_QUEUE,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",  # a full queue refuses and drops nothing; at-least-once needs it, too
    "x-max-length": 2_000_000,
}
# A quorum queue of RabbitMQ 4 that sets no delivery limit has one of 20, and what exceeds it here would be lost.
DEAD_QUEUE_ARGUMENTS = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}

CURES = {  # by what the text holds
    "ACCESS_REFUSED": "check the user, the password and the user's permissions",
    "NOT_ALLOWED": "check the virtual host, and that the user may use it",
    "NOT_FOUND": "queues are made when a worker or a run starts",
    "no queue is bound": "queues are made when a worker or a run starts",
    "refused by the broker": "its queue is full: start workers",
    CLOSED_HERE: "a fault of this program",
    "PRECONDITION_FAILED": "it was made with other arguments: delete it, or name another queue",
}


class RabbitMqBroker:
    """Publishes over one connection, and consumes over another for each subscription: none can hold up the others.

    Args:
        url: ``amqp://user:password@host:port/vhost``; nothing is connected before the first use.
        connect_seconds: how long a call waits for a connection that is not there.

    Raises:
        InvalidInput: no such URL.
    """

    def __init__(self, url: str, connect_seconds: float = CONNECT_SECONDS) -> None:
        try:
            self._place = f"RabbitMQ at {locate(url)}"
        except ValueError as error:
            cure = "percent-encode special characters of the password"
            raise InvalidInput(Problem("RABBITMQ_URL", str(error), cure)) from error
        self._url = url
        self._connect_seconds = connect_seconds
        self._lock = threading.Lock()
        self._closed = False
        self._publisher: RabbitMqPublisher | None = None
        self._consumers: WeakSet[RabbitMqConsumer] = WeakSet()  # each is held by its own thread until it is closed

    def declare(self, queues: Sequence[str]) -> None:
        """Make the queues, durable; does nothing to those that are there. Raises Unavailable."""
        try:
            publisher = self._connected()
            publisher.declare_exchange(JOBS_EXCHANGE)
            publisher.declare_exchange(DEAD_EXCHANGE)
            publisher.declare_queue(DEAD_QUEUE, DEAD_EXCHANGE, DEAD_QUEUE_ARGUMENTS)
            for queue in queues:
                publisher.declare_queue(queue, JOBS_EXCHANGE, WORK_QUEUE_ARGUMENTS)
        except RabbitMqError as error:
            raise self._unavailable(error) from error

    def publish(self, messages: Sequence[Message]) -> None:
        """Publish all, and return when each is confirmed. Raises PublishFailed, whatever the reason was."""
        outgoing = [Outgoing(message.id, message.queue, message.body) for message in messages]
        try:
            self._connected().publish(JOBS_EXCHANGE, outgoing)
        except RabbitMqError as error:
            ids = list(error.reasons) if isinstance(error, Unconfirmed) else [message.id for message in messages]
            named = ", ".join(ids[:5]) + (", ..." if len(ids) > 5 else "")
            text = f"{self._place} did not confirm {len(ids)} of {len(messages)} messages ({named}): {_advised(error)}"
            raise PublishFailed(text, ids) from error

    def subscribe(self, queues: Sequence[str], prefetch: int) -> RabbitMqSubscription:
        """Consume from the queues, which share ``prefetch`` evenly, at least one each. Raises Unavailable."""
        share = max(1, prefetch // len(queues))
        with self._lock:
            if self._closed:
                raise self._unavailable(ConnectionLost(CLOSED_HERE))
            consumer = RabbitMqConsumer(self._url, "yeeter consumer", queues, share, self._connect_seconds)
            self._consumers.add(consumer)
        try:
            consumer.wait_ready()
        except RabbitMqError as error:
            consumer.close()
            raise self._unavailable(error) from error
        return RabbitMqSubscription(consumer)

    def depth(self, queue: str) -> QueueDepth:
        """What waits in a queue, and who consumes from it. Raises Unavailable, also when there is no such queue."""
        try:
            count = self._connected().count(queue)
        except RabbitMqError as error:
            raise self._unavailable(error) from error
        return QueueDepth(count.ready, count.consumers)

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
                self._publisher = RabbitMqPublisher(self._url, "yeeter publisher", self._connect_seconds)
            return self._publisher

    def _unavailable(self, error: RabbitMqError) -> Unavailable:
        return Unavailable(f"{self._place}: {_advised(error)}")


class RabbitMqSubscription:
    """A consumer; after a lost connection it goes on by itself."""

    def __init__(self, consumer: RabbitMqConsumer) -> None:
        self._consumer = consumer

    def receive(self, maximum: int, timeout: float) -> list[Delivery]:
        """Up to ``maximum`` deliveries; waits up to ``timeout`` seconds for the first one."""
        return [
            Delivery(incoming, incoming.id, incoming.queue, incoming.body, incoming.redelivered)
            for incoming in self._consumer.receive(maximum, timeout)
        ]

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Done with these."""
        self._consumer.acknowledge(_incoming(deliveries))

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Not begun: put them back for somebody else."""
        self._consumer.requeue(_incoming(deliveries))

    def close(self) -> None:
        """Stop consuming; what was not acknowledged goes back to its queue."""
        self._consumer.close()


def _advised(error: RabbitMqError) -> str:
    """What the broker said, and what to do about it."""
    cure = next((cure for sign, cure in CURES.items() if sign in str(error)), "is it up, and RABBITMQ_URL right?")
    return f"{error} ({cure})"


def _incoming(deliveries: Sequence[Delivery]) -> list[Incoming]:
    return [cast(Incoming, delivery.tag) for delivery in deliveries]
