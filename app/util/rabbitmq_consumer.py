"""Consuming from RabbitMQ: deliveries wait in a buffer for the threads that work on them."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from app.util.rabbitmq_client import CONNECT_SECONDS, Channel, Method, Properties, RabbitMqClient
from app.util.rabbitmq_errors import ConnectionLost, Refused

SECOND = " +"  # after the queue's name, which is the first consumer's tag: the tag of its second consumer


class Incoming(NamedTuple):
    """A delivery. It can be settled only on the channel that brought it."""

    channel: Channel
    tag: int
    queue: str
    id: str
    body: bytes
    redelivered: bool
    headers: Mapping[str, Any]


class RabbitMqConsumer(RabbitMqClient):
    """A client that consumes from queues, each with a prefetch of its own (quorum queues know no other).

    A consumer's prefetch can't be changed. To hold more for a time, each queue gets a second consumer on the channel.

    After a lost connection it consumes again by itself. What was delivered before comes again, marked redelivered;
    settling such an old delivery does nothing.
    """

    def __init__(
        self,
        url: str,
        name: str,
        queues: Sequence[str],
        prefetch: int,
        connect_seconds: float = CONNECT_SECONDS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.queues = tuple(queues)
        self._prefetch = prefetch
        self._buffer: deque[Incoming] = deque()  # lock
        # I/O thread
        self._more = 0  # the prefetch of the second consumers; 0: there are none
        self._unsettled: set[int] = set()  # delivery tags of the present channel
        super().__init__(url, name, connect_seconds, tls)

    def receive(self, maximum: int, timeout: float) -> list[Incoming]:
        """Up to ``maximum`` deliveries; waits up to ``timeout`` seconds for the first one.

        Raises:
            Refused: the broker does not let it consume (again); said once an attempt, and attempts go on.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._closed or self._refusal, timeout)
            if self._closed:
                return []
            if self._refusal:
                refusal, self._refusal = self._refusal, ""
                raise Refused(refusal)
            return [self._buffer.popleft() for _ in range(min(maximum, len(self._buffer)))]

    def widen(self, more: int) -> None:
        """Hold up to so many messages more of each queue, also after a lost connection; 0: no more than the prefetch.

        Of what is on its way to us when that ends, pika puts back what it gets.
        """
        with suppress(ConnectionLost):  # closed
            self._call(partial(self._widen, more))

    def acknowledge(self, deliveries: Sequence[Incoming]) -> None:
        """Tell the broker that these are done."""
        self._settle(deliveries, self._acknowledge)

    def requeue(self, deliveries: Sequence[Incoming]) -> None:
        """Put these back into their queues, for another consumer."""
        self._settle(deliveries, self._requeue)

    def _settle(self, deliveries: Sequence[Incoming], answer: Callable[[Channel, list[int]], None]) -> None:
        def settle_those_of_the_open_channel() -> None:
            ours = [each for each in deliveries if each.channel.is_open and each.tag in self._unsettled]
            if ours:
                tags = [each.tag for each in ours]
                self._unsettled.difference_update(tags)
                answer(ours[0].channel, tags)

        try:
            self._call(settle_those_of_the_open_channel)
        except ConnectionLost:
            return  # closed: they are back in their queues

    # In the I/O thread.

    def _acknowledge(self, channel: Channel, tags: list[int]) -> None:
        """As one where no delivery before them is open: an acknowledgement of several takes all up to its tag."""
        first_open = min(self._unsettled, default=None)
        together = [tag for tag in tags if first_open is None or tag < first_open]
        if together:
            channel.basic_ack(max(together), multiple=True)
        for tag in tags:
            if first_open is not None and tag > first_open:
                channel.basic_ack(tag)

    @staticmethod
    def _requeue(channel: Channel, tags: list[int]) -> None:
        """By nack: from RabbitMQ 4.3 on, a reject is a failed delivery and counts against the limit, a nack is not."""
        for tag in tags:
            channel.basic_nack(tag, requeue=True)

    def _widen(self, more: int) -> None:
        if more == self._more:
            return
        if self._more and self._channel is not None:
            for queue in self.queues:
                self._channel.basic_cancel(queue + SECOND)
        self._more = more
        if self._channel is not None:
            self._consume_more(self._channel)

    def _consume_more(self, channel: Channel) -> None:
        if self._more:
            channel.basic_qos(prefetch_count=self._more)  # of the consumers that follow
            for queue in self.queues:
                channel.basic_consume(queue, partial(self._on_delivery, queue), consumer_tag=queue + SECOND)

    def _set_up(self, channel: Channel) -> None:
        self._unsettled.clear()
        channel.add_on_cancel_callback(self._on_cancel)
        channel.basic_qos(prefetch_count=self._prefetch)
        waiting = set(self.queues)

        def consuming(queue: str, _frame: Method) -> None:
            waiting.discard(queue)
            if not waiting:
                self._set_ready(channel)
                self._consume_more(channel)

        for queue in self.queues:
            tag = queue  # unique within the channel, and it names the queue when the broker cancels
            channel.basic_consume(
                queue, partial(self._on_delivery, queue), consumer_tag=tag, callback=partial(consuming, queue)
            )

    def _on_cancel(self, frame: Method) -> None:
        """A queue was deleted, or moved: the next attempt to consume from it shows which.

        Where there is a second consumer, the first one's end tells.
        """
        if frame.method.consumer_tag.endswith(SECOND):
            return
        self._restart(Refused(f"the broker ended the consumer of queue {frame.method.consumer_tag!r}; was it deleted?"))

    def _tear_down(self, reason: str) -> None:
        with self._changed:
            self._buffer.clear()

    def _on_delivery(self, queue: str, channel: Channel, method: Method, properties: Properties, body: bytes) -> None:
        delivery = Incoming(
            channel,
            method.delivery_tag,
            queue,
            properties.message_id or "",
            body,
            bool(method.redelivered),
            properties.headers or {},
        )
        self._unsettled.add(delivery.tag)
        with self._changed:
            self._buffer.append(delivery)
            self._changed.notify_all()
