"""Publishing to RabbitMQ with asynchronous confirms: many messages on their way at once, each accounted for."""

from __future__ import annotations

import ssl
import threading
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from app.util.rabbitmq_client import (
    CONNECT_SECONDS,
    REPLY_SECONDS,
    Channel,
    Method,
    Properties,
    RabbitMqClient,
    persistent,
)
from app.util.rabbitmq_errors import ConnectionLost, RabbitMqError

CONFIRM_WINDOW = 1000  # messages on their way without a confirm
UNROUTABLE = "no queue is bound"


class Outgoing(NamedTuple):
    """A message to publish."""

    id: str
    routing_key: str
    body: bytes
    headers: Mapping[str, str] | None = None


class Unconfirmed(RabbitMqError):
    """Messages that were not confirmed: ``reasons`` by message id. Unless it was refused, one may still arrive."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        super().__init__("; ".join(sorted(set(self.reasons.values()))))


class RabbitMqPublisher(RabbitMqClient):
    """A client that publishes. Threads share it: their messages go out over one channel and one window of confirms.

    Args (beside those of the client):
        confirm_seconds: how long a call of ``publish`` goes on without one confirm.
    """

    def __init__(
        self,
        url: str,
        name: str,
        connect_seconds: float = CONNECT_SECONDS,
        tls: ssl.SSLContext | None = None,
        confirm_seconds: float = REPLY_SECONDS,
    ) -> None:
        self._confirm_seconds = confirm_seconds
        # I/O thread
        self._unsent: deque[_Publication] = deque()
        self._sent: dict[int, _Publication] = {}  # by delivery tag, in the order of sending
        self._next_tag = 1
        self._returned: Counter[tuple[str, str]] = Counter()  # by message id and routing key
        super().__init__(url, name, connect_seconds, tls)

    def publish(self, exchange: str, messages: Sequence[Outgoing]) -> None:
        """Publish all, persistent and mandatory, and return when the broker has confirmed every one.

        Raises:
            Unconfirmed: names those that it did not confirm; the others are safe with it.
        """
        if not messages:
            return
        batch = _Batch(exchange, len(messages))
        try:
            self.wait_ready()
            self._call(partial(self._accept, [_Publication(batch, message) for message in messages]))
        except ConnectionLost as error:
            raise Unconfirmed({message.id: str(error) for message in messages}) from error
        open_before = batch.open
        while not batch.done.wait(self._confirm_seconds):
            if batch.open == open_before:
                self._give_up(batch)
            open_before = batch.open
        if batch.reasons:
            raise Unconfirmed(batch.reasons)

    def probe(self, exchange: str) -> None:
        """Publish a message that no queue takes: an alarm of the broker is told only to those who publish.

        Raises:
            Unconfirmed: the broker takes none.
        """
        nobody = Outgoing("", "", b"")
        try:
            self.publish(exchange, [nobody])
        except Unconfirmed as error:
            if UNROUTABLE not in str(error):
                raise

    def _give_up(self, batch: _Batch) -> None:
        """Start anew: a channel may confirm nothing for good after its queue's leader was lost."""
        try:
            self._call(partial(self._restart_for, batch))
        except ConnectionLost:
            return  # closing settles every batch

    # In the I/O thread.

    def _set_up(self, channel: Channel) -> None:
        self._next_tag = 1
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm, callback=lambda _frame: self._set_ready(channel))

    def _tear_down(self, reason: str) -> None:
        publications = [*self._sent.values(), *self._unsent]
        self._sent.clear()
        self._unsent.clear()
        self._returned.clear()
        for batch, message in publications:
            batch.settle(message.id, reason)

    def _hold(self, reason: str) -> None:
        """Wait for none of them. What was sent may still arrive and be confirmed, which then concerns nobody."""
        nobody = _Batch("", len(self._sent))
        sent = {tag: publication._replace(batch=nobody) for tag, publication in self._sent.items()}
        self._tear_down(reason)
        self._sent.update(sent)

    def _accept(self, publications: list[_Publication]) -> None:
        self._unsent.extend(publications)
        if self._channel is None or self._blocked:
            self._hold(self._blocked or self._reason)
        else:
            self._send()

    def _send(self) -> None:
        """Send while the window has room; each confirm makes some."""
        while self._unsent and len(self._sent) < CONFIRM_WINDOW and self._channel.is_open:
            publication = self._unsent.popleft()
            self._sent[self._next_tag] = publication
            self._next_tag += 1
            message = publication.message
            properties = persistent(message.id, message.headers)
            self._channel.basic_publish(
                publication.batch.exchange, message.routing_key, message.body, properties, mandatory=True
            )

    def _on_return(self, _channel: Channel, method: Method, properties: Properties, _body: bytes) -> None:
        """No queue took it. A confirm follows all the same, and must not count as success."""
        self._returned[properties.message_id, method.routing_key] += 1

    def _on_confirm(self, frame: Method) -> None:
        method = frame.method
        verdict = "refused by the broker" if method.NAME == "Basic.Nack" else None
        for tag in self._tags_of(method):
            batch, message = self._sent.pop(tag)
            batch.settle(message.id, self._take_return(message) or verdict)
        self._send()

    def _tags_of(self, method: Method) -> list[int]:
        if not method.multiple:
            return [method.delivery_tag]
        tags = []
        for tag in self._sent:
            if tag > method.delivery_tag:
                break
            tags.append(tag)
        return tags

    def _take_return(self, message: Outgoing) -> str | None:
        key = (message.id, message.routing_key)
        if key not in self._returned:
            return None
        self._returned -= Counter([key])
        return f"{UNROUTABLE} for {message.routing_key!r}"

    def _restart_for(self, batch: _Batch) -> None:
        if not batch.done.is_set():
            self._restart(ConnectionLost(f"no confirm in {self._confirm_seconds:g} s"))


class _Batch:
    """One call of ``publish``: the I/O thread settles each of its messages once, then the caller goes on."""

    def __init__(self, exchange: str, size: int) -> None:
        self.exchange = exchange
        self.open = size
        self.reasons: dict[str, str] = {}
        self.done = threading.Event()

    def settle(self, message_id: str, problem: str | None) -> None:
        """Count a message as done; with a problem, as not confirmed."""
        if problem is not None:
            self.reasons[message_id] = problem
        self.open -= 1
        if self.open == 0:
            self.done.set()


class _Publication(NamedTuple):
    batch: _Batch
    message: Outgoing
