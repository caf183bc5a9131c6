"""Publishing persistent messages of 1.5 KB to a quorum queue, each confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial

import pika
from pika.adapters.blocking_connection import BlockingChannel

from app.adapters.broker.rabbitmq import JOBS_EXCHANGE, RabbitMqBroker
from app.ports import Message
from app.runs.producing.relay import GROUP  # what a producer publishes at once
from benchmarks.peers.turns import OURS, Contender
from benchmarks.stages.measure import rate

QUEUE = "measured"
BODY = b"x" * 1500
ONE_BY_ONE = 50  # of the peer between two looks at the clock
STAGE, AGAINST = "publish 1.5 KB, confirmed", "quorum queue of one RabbitMQ node"


def contenders(stack: ExitStack, url: str, seconds: float) -> Iterator[Contender]:
    """Over a node that nobody else publishes to; both connections end with ``stack``."""
    broker = stack.enter_context(closing(RabbitMqBroker(url)))
    broker.declare([QUEUE])
    channel = stack.enter_context(closing(pika.BlockingConnection(pika.URLParameters(url)))).channel()
    channel.confirm_delivery()
    ways = {f"{OURS}, {GROUP} at once": partial(_ours, broker), "pika, one by one": partial(_with_pika, channel)}
    for who, work in ways.items():
        yield Contender(STAGE, AGAINST, who, partial(_measure, broker, work, seconds))


def _measure(broker: RabbitMqBroker, work: partial[int], seconds: float) -> float:
    measured = rate(work, seconds)
    broker.purge(QUEUE)
    return measured


def _ours(broker: RabbitMqBroker) -> int:
    broker.publish([Message(str(number), QUEUE, BODY) for number in range(GROUP)])
    return GROUP


def _with_pika(channel: BlockingChannel) -> int:
    """Raises pika's UnroutableError or NackError."""
    properties = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent)
    for _ in range(ONE_BY_ONE):
        channel.basic_publish(JOBS_EXCHANGE, QUEUE, BODY, properties, mandatory=True)
    return ONE_BY_ONE
