"""Consuming from RabbitMQ: deliveries wait in a buffer for the threads that work on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from app.util.rabbitmq_client import (
    CONNECT_SECONDS,
    Channel,
    ConnectionLost,
    Method,
    Properties,
    RabbitMqClient,
    Refused,
)


class Incoming(NamedTuple):
    """A delivery. It can be settled only on the channel that brought it."""

    channel: Channel
    tag: int
    queue: str
    id: str
    body: bytes
    redelivered: bool


class RabbitMqConsumer(RabbitMqClient):
    """A client that consumes from queues, each with a prefetch of its own (quorum queues know no other).

    After a lost connection it consumes again by itself. What was delivered before comes again, marked redelivered;
    settling such an old delivery does nothing.
    """

    def __init__(
        self, url: str, name: str, queues: Sequence[str], prefetch: int, connect_seconds: float = CONNECT_SECONDS
    ) -> None:
        self._queues = tuple(queues)
        self._prefetch = prefetch
        self._buffer: deque[Incoming] = deque()  # lock
        super().__init__(url, name, connect_seconds)

    def receive(self, maximum: int, timeout: float) -> list[Incoming]:
        """Up to ``maximum`` deliveries; waits up to ``timeout`` seconds for the first one."""
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._closed, timeout)
            if self._closed:
                return []
            return [self._buffer.popleft() for _ in range(min(maximum, len(self._buffer)))]

    def acknowledge(self, deliveries: Sequence[Incoming]) -> None:
        """Tell the broker that these are done."""
        self._settle(deliveries, lambda channel, tag: channel.basic_ack(tag))

    def requeue(self, deliveries: Sequence[Incoming]) -> None:
        """Put these back into their queues, for another consumer."""
        self._settle(deliveries, lambda channel, tag: channel.basic_reject(tag, requeue=True))

    def _settle(self, deliveries: Sequence[Incoming], answer: Callable[[Channel, int], None]) -> None:
        def settle_those_of_open_channels() -> None:
            for delivery in deliveries:
                if delivery.channel.is_open:
                    answer(delivery.channel, delivery.tag)

        try:
            self._call(settle_those_of_open_channels)
        except ConnectionLost:
            return  # closed: they are back in their queues

    # In the I/O thread.

    def _set_up(self, channel: Channel) -> None:
        channel.add_on_cancel_callback(lambda _frame: self._restart(Refused("consuming was cancelled by the broker")))
        channel.basic_qos(prefetch_count=self._prefetch)
        waiting = set(self._queues)

        def consuming(queue: str, _frame: Method) -> None:
            waiting.discard(queue)
            if not waiting:
                self._set_ready(channel)

        for queue in self._queues:
            channel.basic_consume(queue, partial(self._on_delivery, queue), callback=partial(consuming, queue))

    def _tear_down(self, reason: str) -> None:
        with self._changed:
            self._buffer.clear()

    def _on_delivery(self, queue: str, channel: Channel, method: Method, properties: Properties, body: bytes) -> None:
        delivery = Incoming(
            channel, method.delivery_tag, queue, properties.message_id or "", body, bool(method.redelivered)
        )
        with self._changed:
            self._buffer.append(delivery)
            self._changed.notify_all()
