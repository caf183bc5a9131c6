"""What may go wrong with RabbitMQ, in the words of the broker or of the operating system.

RabbitMqError
 ├── ConnectionLost   there is no connection, or it went away under the request
 └── Refused          the broker answered no: a missing queue, other arguments, no permission, no room
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from pika.adapters.utils.connection_workflow import (
    AMQPConnectionWorkflowFailed,
    AMQPConnectorPhaseErrorBase,
    AMQPConnectorStackTimeout,
)
from pika.exceptions import (
    AMQPConnectionError,
    AMQPHeartbeatTimeout,
    ChannelClosed,
    ConnectionBlockedTimeout,
    ConnectionClosed,
    ConnectionOpenAborted,
    IncompatibleProtocolError,
    StreamLostError,
)

PLAIN_WORDS: Mapping[type[BaseException], str] = {
    AMQPConnectorStackTimeout: "no answer in time",
    AMQPHeartbeatTimeout: "the broker stopped sending heartbeats",
    ConnectionBlockedTimeout: "the broker takes no messages (it is short of memory or disk)",
    ConnectionOpenAborted: "no answer in time",
    IncompatibleProtocolError: "it hung up before it spoke AMQP",
    StreamLostError: "the connection was cut",
}


class RabbitMqError(Exception):
    """Root of the tree; the text never holds credentials."""


class ConnectionLost(RabbitMqError):
    """There is no connection to the broker, or it went away before the answer came."""


class Refused(RabbitMqError):
    """The broker would not; the text is its own."""


def describe(error: BaseException) -> str:
    """What happened, dug out of pika's layers."""
    if isinstance(error, AMQPConnectionWorkflowFailed):
        return describe(error.exceptions[-1])
    if isinstance(error, AMQPConnectorPhaseErrorBase):
        return describe(error.exception)
    if type(error) is AMQPConnectionError and error.args and isinstance(error.args[0], BaseException):
        return describe(error.args[0])
    if isinstance(error, ChannelClosed | ConnectionClosed):
        return str(error.reply_text)
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return PLAIN_WORDS.get(type(error)) or str(error) or type(error).__name__
