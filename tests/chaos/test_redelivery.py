"""How soon the messages of a consumer that is killed, or frozen, come to another one."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.adapters.broker.rabbitmq import RabbitMqBroker
from tests.chaos.holder import HOLDS
from tests.chaos.preloaded import ROOT, Child, Preloaded
from tests.contract.broker_messages import LONG, numbered
from tests.qualify.amounts import amount
from tests.services.processes import wait_until

KILLS = amount("CONSUMER_KILLS", 5)
FREEZES = amount("CONSUMER_FREEZES", 1)
HEARTBEAT = amount("HEARTBEAT_SECONDS", 1)
HELD = 10  # messages, by each

Record = Callable[[str, object], None]
Strike = Callable[[Child], None]


@pytest.fixture
def broker(amqp_url: str) -> Iterator[RabbitMqBroker]:
    broker = RabbitMqBroker(amqp_url)
    broker.declare(["work"])
    yield broker
    broker.close()


def send(number: signal.Signals) -> Strike:
    """At once, not by way of the consumer's parent."""
    return lambda holder: os.kill(holder.pid, number)


class Watch:
    """Sees how long it takes until the messages of a struck consumer come again."""

    def __init__(self, broker: RabbitMqBroker, preloaded: Preloaded, url: str, log: Path) -> None:
        self._broker = broker
        self._preloaded = preloaded
        self._url = url
        self._log = log
        self._sent = 0

    def seconds_after(self, strike: Strike) -> list[float]:
        """For each message."""
        messages = numbered(self._sent, self._sent + HELD)
        self._sent += HELD
        self._broker.publish(messages)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        holder = self._preloaded.start(self._log, environment, "tests.chaos.holder", self._url, str(HELD))
        wait_until(lambda: HOLDS in holder.output, LONG, "a consumer that holds all messages")
        subscription = self._broker.subscribe(["work"], prefetch=HELD)
        wait_until(lambda: self._broker.depth("work").consumers == 2, LONG, "the other consumer")
        begun = time.monotonic()
        strike(holder)
        times: list[float] = []
        came: set[str] = set()
        while len(came) < HELD:
            batch = subscription.receive(HELD, 10 * HEARTBEAT + LONG)
            assert batch and all(delivery.redelivered for delivery in batch)
            times += [time.monotonic() - begun] * len(batch)
            came |= {delivery.message_id for delivery in batch}
            subscription.acknowledge(batch)
        assert came == {message.id for message in messages}
        subscription.close()
        holder.kill()
        wait_until(lambda: self._broker.depth("work").ready == 0, LONG, "the acknowledgements")
        return times


@pytest.fixture
def url(amqp_url: str) -> str:
    """Of the consumers to be struck."""
    return f"{amqp_url}?heartbeat={HEARTBEAT}"


@pytest.fixture
def watch(broker: RabbitMqBroker, preloaded: Preloaded, url: str, tmp_path: Path) -> Watch:
    return Watch(broker, preloaded, url, tmp_path / "holder.log")


def test_a_killed_consumers_messages_come_again_at_once(watch: Watch, record_property: Record) -> None:
    times = sorted(seconds for _ in range(KILLS) for seconds in watch.seconds_after(send(signal.SIGKILL)))
    assert len(times) == KILLS * HELD
    record_property("consumer_kills", KILLS)
    record_property("redelivery_p50_ms", round(1000 * times[len(times) // 2], 1))
    record_property("redelivery_p99_ms", round(1000 * times[math.ceil(0.99 * len(times)) - 1], 1))


def test_a_frozen_consumers_messages_come_again_after_some_heartbeats(watch: Watch, record_property: Record) -> None:
    most = max(seconds for _ in range(FREEZES) for seconds in watch.seconds_after(send(signal.SIGSTOP)))
    record_property("consumer_freezes", FREEZES)
    record_property("heartbeat_seconds", HEARTBEAT)
    record_property("frozen_redelivery_seconds", round(most, 2))
    record_property("frozen_seconds_beyond_3_heartbeats", round(max(most - 3 * HEARTBEAT, 0.0), 2))
