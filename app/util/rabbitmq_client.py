"""AMQP 0-9-1 for threads: connections to RabbitMQ that come back by themselves.

pika's connections are not thread-safe, and one that waits inside a job misses its heartbeats. So each connection here
belongs to an I/O thread of its own; every other thread asks that thread (``add_callback_threadsafe``) and waits for its
answer. Attributes are marked by their owner: the I/O thread, or the lock.

``RabbitMqPublisher`` and ``RabbitMqConsumer``, each in a module of its own, build on the client below. pika is imported
by the modules ``rabbitmq_*`` and no others.
"""

from __future__ import annotations

import logging
import random
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

import pika
from pika.adapters.select_connection import IOLoop
from pika.exceptions import ChannelClosedByBroker

from app.util.rabbitmq_errors import ConnectionLost, Refused, describe
from app.util.rabbitmq_parameters import connection_parameters, locate

logger = logging.getLogger(__name__)
# pika logs every failed attempt with a traceback; this module says it once, in one line.
logging.getLogger("pika").setLevel(logging.CRITICAL)

CONNECT_SECONDS = 5.0  # how long a request waits for a connection that is not there
REPLY_SECONDS = 30.0  # how long it waits for the broker's reply
CLOSE_SECONDS = 3.0  # how long a goodbye may take
BACKOFF_SECONDS = (0.2, 3.0)  # first and longest pause between attempts to connect
CLOSED_HERE = "the connection was closed by this program"
BLOCKED = "it takes no messages"  # while an alarm of its memory or disk lasts

# pika ships no type information; these names say what is meant.
Connection = Any
Channel = Any
Method = Any
Properties = Any
Operation = Callable[[Channel, Callable[[Any], None]], None]


class QueueCount(NamedTuple):
    """Messages ready for delivery, and consumers, of one queue."""

    ready: int
    consumers: int


class RabbitMqClient:
    """One connection, and one channel on it for the subclass's traffic; both are opened anew whenever they are lost.

    Connecting begins at once, in the background. Every method may be called from any thread.

    Args:
        url: ``amqp://user:password@host:port/vhost`` or ``amqps://...``, with pika's query parameters.
        name: of the connection, as the broker's own tools show it.
        connect_seconds: how long each request waits for a connection that is not there.
        tls: what ``amqps://`` trusts and shows; None: the system's CAs.

    Raises:
        ValueError: no such URL; the text does not repeat it, as it may hold a password.
    """

    def __init__(
        self, url: str, name: str, connect_seconds: float = CONNECT_SECONDS, tls: ssl.SSLContext | None = None
    ) -> None:
        self._parameters = connection_parameters(url, name, tls)
        self._place = locate(url)
        self._connect_seconds = connect_seconds
        # I/O thread
        self._loop = IOLoop()
        self._connection: Connection = None
        self._channel: Channel = None  # None while there is none to use
        self._failures = 0
        self._blocked = ""  # why the broker takes no messages, while it doesn't
        # lock
        self._changed = threading.Condition()
        self._ready = False
        self._closed = False
        self._reason = "no answer"
        self._refusal = ""  # why the broker would not let the channel be set up, when it would not
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def declare_exchange(self, name: str) -> None:
        """Make a durable direct exchange. Raises Refused when it is there with another type; ConnectionLost."""
        self._request(lambda channel, done: channel.exchange_declare(name, "direct", durable=True, callback=done))

    def declare_queue(self, name: str, exchange: str, arguments: Mapping[str, Any]) -> None:
        """Make a durable queue, bound to the exchange by its own name.

        Raises:
            Refused: it is there with other arguments.
            ConnectionLost: the broker can't be asked.
        """

        def declare_and_bind(channel: Channel, done: Callable[[Any], None]) -> None:
            channel.queue_declare(name, durable=True, arguments=dict(arguments))
            channel.queue_bind(name, exchange, routing_key=name, callback=done)

        self._request(declare_and_bind)

    def count(self, queue: str) -> QueueCount:
        """What a queue holds now. Raises Refused when there is no such queue; ConnectionLost."""
        reply = self._request(lambda channel, done: channel.queue_declare(queue, passive=True, callback=done))
        return QueueCount(reply.method.message_count, reply.method.consumer_count)

    def purge(self, queue: str) -> int:
        """Throw away what waits in a queue; how many. Raises Refused when there is no such queue; ConnectionLost."""
        reply = self._request(lambda channel, done: channel.queue_purge(queue, callback=done))
        return int(reply.method.message_count)

    def wait_ready(self) -> None:
        """Return when the channel can be used.

        Raises:
            Refused: the broker does not let it be used as the subclass wants to.
            ConnectionLost: not in ``connect_seconds``; the text is what the last attempt met.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed or self._refusal, self._connect_seconds)
            if not self._ready:
                if self._refusal and not self._closed:
                    raise Refused(self._refusal)
                raise ConnectionLost(CLOSED_HERE if self._closed else self._reason)

    @property
    def is_ready(self) -> bool:
        """Whether the channel can be used now."""
        with self._changed:
            return self._ready and not self._closed

    def close(self) -> None:
        """Carry out what was asked before, say goodbye, end the thread. Closing again does nothing."""
        with self._changed:
            if not self._closed:
                self._closed = True
                self._changed.notify_all()
                self._loop.add_callback_threadsafe(self._say_goodbye)
        self._thread.join(CLOSE_SECONDS + 1)

    # For subclasses, in the I/O thread.

    def _set_up(self, channel: Channel) -> None:
        """Begin to use a fresh channel; ends in a call of ``_set_ready`` when the broker has agreed."""
        self._set_ready(channel)

    def _tear_down(self, reason: str) -> None:
        """The channel is not used any more, and what was on its way on it is given up."""

    def _hold(self, reason: str) -> None:
        """The broker takes no messages for the time being, and reads no requests from a connection that sends some."""

    def _set_ready(self, channel: Channel) -> None:
        self._channel = channel
        self._failures = 0
        with self._changed:
            self._ready = True
            self._refusal = ""
            self._changed.notify_all()
        logger.info("connected to RabbitMQ at %s", self._place)

    def _restart(self, reason: Exception) -> None:
        """From every fault there is one way back: a new connection. It does not ask the broker, which may be stuck."""
        connection = self._connection
        if connection is None or connection.is_closed:
            self._on_connection_lost(connection, reason)
        else:
            self._lose(describe(reason))
            connection._terminate_stream(reason)  # pika has no public way to drop a connection

    # For subclasses, in any thread.

    def _call(self, function: Callable[[], None]) -> None:
        """Have the I/O thread call the function, which it does even when closing begins right after.

        Raises:
            ConnectionLost: closing has begun.
        """
        with self._changed:
            if self._closed:
                raise ConnectionLost(CLOSED_HERE)
            self._loop.add_callback_threadsafe(function)

    def _request(self, operation: Operation) -> Any:
        """Run an operation on a channel of its own, as a refusal closes the channel; return the broker's reply."""
        reply: Future[Any] = Future()
        self.wait_ready()
        self._call(partial(self._open_for, operation, reply))
        try:
            return reply.result(REPLY_SECONDS)
        except TimeoutError as error:
            raise ConnectionLost(f"no reply in {REPLY_SECONDS:.0f} s") from error

    # The life of the connection, in the I/O thread.

    def _run(self) -> None:
        self._loop.add_callback_threadsafe(self._connect)
        running = True
        while running:
            try:
                self._loop.start()
                running = False
            except Exception as error:  # costs the connection, never the thread
                self._restart(error)
                logger.exception("I/O with RabbitMQ at %s failed", self._place)
        self._lose(CLOSED_HERE)
        self._loop.close()

    def _connect(self) -> None:
        if self._closed or not (self._connection is None or self._connection.is_closed):
            return
        self._connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_connection_lost,
            on_close_callback=self._on_connection_lost,
            custom_ioloop=self._loop,
        )

    def _on_open(self, connection: Connection) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        channel = connection.channel(on_open_callback=self._set_up)
        channel.add_on_close_callback(partial(self._on_channel_closed, connection))

    def _on_blocked(self, _connection: Connection, frame: Method) -> None:
        self._blocked = f"{BLOCKED}: {frame.method.reason}"
        logger.warning("RabbitMQ at %s: %s", self._place, self._blocked)
        self._hold(self._blocked)

    def _on_unblocked(self, _connection: Connection, _frame: Method) -> None:
        self._blocked = ""
        logger.warning("RabbitMQ at %s takes messages again", self._place)

    def _on_channel_closed(self, connection: Connection, _channel: Channel, reason: Exception) -> None:
        if not connection.is_open:
            return  # the channel went with it
        if not self._ready and isinstance(reason, ChannelClosedByBroker):
            with self._changed:
                self._refusal = describe(reason)
                self._changed.notify_all()
        self._restart(reason)

    def _on_connection_lost(self, _connection: Connection, error: Exception) -> None:
        reason = describe(error)
        if self._closed:
            self._loop.stop()
            return
        if self._failures == 0:
            logger.warning("no connection to RabbitMQ at %s (%s); trying again", self._place, reason)
        first, longest = BACKOFF_SECONDS
        pause = min(longest, first * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)
        self._failures += 1
        self._loop.call_later(pause, self._connect)
        self._lose(reason)

    def _lose(self, reason: str) -> None:
        self._channel = None
        self._blocked = ""
        with self._changed:
            self._ready = False
            self._reason = reason
            self._changed.notify_all()
        self._tear_down(reason)

    def _say_goodbye(self) -> None:
        connection = self._connection
        if connection is None or connection.is_closed:
            self._loop.stop()
            return
        self._loop.call_later(CLOSE_SECONDS, self._loop.stop)  # a broker that hangs does not hold us
        if not connection.is_closing:
            connection.close()

    def _open_for(self, operation: Operation, reply: Future[Any]) -> None:
        if self._channel is None or not self._connection.is_open:
            reply.set_exception(ConnectionLost(self._reason))
            return
        if self._blocked:
            reply.set_exception(Refused(self._blocked))
            return

        def done(channel: Channel, frame: Any) -> None:
            reply.set_result(frame)
            channel.close()

        def closed(_channel: Channel, error: BaseException) -> None:
            if not reply.done():
                kind = Refused if isinstance(error, ChannelClosedByBroker) else ConnectionLost
                reply.set_exception(kind(describe(error)))

        channel = self._connection.channel(on_open_callback=lambda opened: operation(opened, partial(done, opened)))
        channel.add_on_close_callback(closed)


def persistent(message_id: str, headers: Mapping[str, str] | None = None) -> Properties:
    """Properties of a message that survives a restart of the broker."""
    mode = pika.DeliveryMode.Persistent.value
    return pika.BasicProperties(message_id=message_id, delivery_mode=mode, headers=headers)
