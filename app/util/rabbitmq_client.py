"""AMQP 0-9-1 for threads: connections to RabbitMQ that come back by themselves. The only importer of pika.

pika's connections are not thread-safe, and one that waits inside a job misses its heartbeats. So each connection here
belongs to an I/O thread of its own; every other thread asks that thread (``add_callback_threadsafe``) and waits for its
answer. Attributes are marked by their owner: the I/O thread, or the lock.

``RabbitMqPublisher`` and ``RabbitMqConsumer``, each in a module of its own, build on the client below.

RabbitMqError
 ├── ConnectionLost   there is no connection, or it went away under the request
 └── Refused          the broker answered no: a missing queue, other arguments, no permission
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import pika
from pika.adapters.select_connection import IOLoop
from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorPhaseErrorBase,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import (
    AMQPConnectionError,
    AMQPHeartbeatTimeout,
    ChannelClosed,
    ChannelClosedByBroker,
    ConnectionBlockedTimeout,
    ConnectionClosed,
    ConnectionOpenAborted,
    StreamLostError,
)

logger = logging.getLogger(__name__)
# pika logs every failed attempt with a traceback; this module says it once, in one line.
logging.getLogger("pika").setLevel(logging.CRITICAL)

CONNECT_SECONDS = 5.0  # how long a request waits for a connection that is not there
REPLY_SECONDS = 30.0  # how long it waits for the broker's reply
CLOSE_SECONDS = 3.0  # how long a goodbye may take
BACKOFF_SECONDS = (0.2, 3.0)  # first and longest pause between attempts to connect
CLOSED_HERE = "the connection was closed by this program"
# In seconds, where the URL does not say otherwise. pika notices a silent peer within 2 * (heartbeat + 5).
URL_DEFAULTS = {"heartbeat": "10", "blocked_connection_timeout": "30", "socket_timeout": "5", "stack_timeout": "10"}

# pika ships no type information; these names say what is meant.
Connection = Any
Channel = Any
Method = Any
Properties = Any
Operation = Callable[[Channel, Callable[[Any], None]], None]


class RabbitMqError(Exception):
    """Root of the tree; the text never holds credentials."""


class ConnectionLost(RabbitMqError):
    """There is no connection to the broker, or it went away before the answer came."""


class Refused(RabbitMqError):
    """The broker would not; the text is its own."""


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

    Raises:
        ValueError: no such URL; the text does not repeat it, as it may hold a password.
    """

    def __init__(self, url: str, name: str, connect_seconds: float = CONNECT_SECONDS) -> None:
        self._parameters = _parameters(url)
        self._parameters.client_properties = {"connection_name": name}
        self._place = locate(url)
        self._connect_seconds = connect_seconds
        # I/O thread
        self._loop = IOLoop()
        self._connection: Connection = None
        self._channel: Channel = None  # None while there is none to use
        self._failures = 0
        # lock
        self._changed = threading.Condition()
        self._ready = False
        self._closed = False
        self._reason = "no answer"
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

    def wait_ready(self) -> None:
        """Return when the channel can be used.

        Raises:
            ConnectionLost: not in ``connect_seconds``; the text is what the last attempt met.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed, self._connect_seconds)
            if not self._ready:
                raise ConnectionLost(CLOSED_HERE if self._closed else self._reason)

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

    def _set_ready(self, channel: Channel) -> None:
        self._channel = channel
        self._failures = 0
        with self._changed:
            self._ready = True
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
        channel = connection.channel(on_open_callback=self._set_up)
        channel.add_on_close_callback(lambda _channel, reason: self._restart(reason) if connection.is_open else None)

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

        def done(channel: Channel, frame: Any) -> None:
            reply.set_result(frame)
            channel.close()

        def closed(_channel: Channel, error: BaseException) -> None:
            if not reply.done():
                kind = Refused if isinstance(error, ChannelClosedByBroker) else ConnectionLost
                reply.set_exception(kind(describe(error)))

        channel = self._connection.channel(on_open_callback=lambda opened: operation(opened, partial(done, opened)))
        channel.add_on_close_callback(closed)


def persistent(message_id: str) -> Properties:
    """Properties of a message that survives a restart of the broker."""
    return pika.BasicProperties(message_id=message_id, delivery_mode=pika.DeliveryMode.Persistent.value)


def locate(url: str) -> str:
    """Which broker a URL means, without the password. Raises ValueError as RabbitMqClient does."""
    parameters = _parameters(url)
    user, host = parameters.credentials.username, parameters.host
    return f"{host}:{parameters.port} (virtual host {parameters.virtual_host}, user {user})"


def describe(error: BaseException) -> str:
    """What happened, in the words of the broker or of the operating system, dug out of pika's layers."""
    if isinstance(error, AMQPConnectionWorkflowFailed):
        return describe(error.exceptions[-1])
    if isinstance(error, AMQPConnectorPhaseErrorBase):
        return describe(error.exception)
    if type(error) is AMQPConnectionError and error.args and isinstance(error.args[0], BaseException):
        return describe(error.args[0])
    if isinstance(error, ChannelClosed | ConnectionClosed):
        return str(error.reply_text)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return PLAIN_WORDS.get(type(error)) or str(error) or type(error).__name__


PLAIN_WORDS: Mapping[type[BaseException], str] = {
    AMQPConnectorStackTimeout: "no answer in time",
    AMQPHeartbeatTimeout: "the broker stopped sending heartbeats",
    ConnectionBlockedTimeout: "the broker takes no messages (it is short of memory or disk)",
    ConnectionOpenAborted: "no answer in time",
    StreamLostError: "the connection was cut",
}


def _parameters(url: str) -> pika.URLParameters:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
            raise ValueError("scheme or host is missing")
        query = urlencode(URL_DEFAULTS | dict(parse_qsl(parts.query)))
        return pika.URLParameters(urlunsplit(parts._replace(query=query)))
    except Exception:  # pika raises whatever it meets; its text may hold a piece of the password, and so may a cause
        raise ValueError("not a URL of the form amqp://user:password@host:port/vhost") from None
