"""What only a real broker can show: dead consumers, restarts, freezes, and words that keep secrets."""

from __future__ import annotations

import logging
import sys
import textwrap
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.domain.errors import InvalidInput, PublishFailed, Unavailable, YeeterError
from app.ports import Message
from app.util.rabbitmq_client import RabbitMqClient
from app.util.rabbitmq_consumer import Incoming
from app.util.rabbitmq_publisher import Outgoing, RabbitMqPublisher, Unconfirmed
from tests.contract.broker_messages import LONG, collect, drain, numbered
from tests.qualify.amounts import amount
from tests.services.processes import Program, free_port, wait_until
from tests.services.rabbitmq import PASSWORD, RabbitMq

SECRET = "Spilled-Beans"
PUBLISHES = amount("PUBLISHES", 3000)
RESTARTS = amount("BROKER_RESTARTS", 2)


@pytest.fixture
def broker(amqp_url: str) -> Iterator[RabbitMqBroker]:
    broker = RabbitMqBroker(amqp_url)
    broker.declare(["work"])
    yield broker
    broker.close()


CONSUMER = """
    import sys, time
    from app.adapters.broker.rabbitmq import RabbitMqBroker
    subscription = RabbitMqBroker(sys.argv[1]).subscribe(["work"], prefetch=10)
    held = []
    while len(held) < 10:
        held += subscription.receive(10, 10)
    subscription.acknowledge(held[:4])
    print("holds", len(held), flush=True)
    time.sleep(60)
"""


def test_a_killed_consumers_messages_go_to_another(broker: RabbitMqBroker, amqp_url: str, tmp_path: Path) -> None:
    broker.publish(numbered(0, 10))
    command = [sys.executable, "-c", textwrap.dedent(CONSUMER), amqp_url]
    with Program(command, tmp_path / "consumer.log") as consumer:
        consumer.wait_for_line("holds 10")
        wait_until(lambda: broker.depth("work").consumers == 1, LONG, "the consumer")
        consumer.kill()
    unacknowledged = {f"m{number}" for number in range(4, 10)}
    assert all(delivery.redelivered for delivery in drain(broker.subscribe(["work"], prefetch=10), unacknowledged))


class Publishing:
    """Publishes one message after the other in a thread, each until it is confirmed; ``confirmed`` are their ids."""

    def __init__(self, broker: RabbitMqBroker, queue: str) -> None:
        self.confirmed: list[str] = []
        self._broker = broker
        self._queue = queue
        self._enough = threading.Event()
        self._pool = ThreadPoolExecutor()
        self._ending = self._pool.submit(self._publish)

    def more(self, by: int) -> None:
        """Return when so many more are confirmed."""
        goal = len(self.confirmed) + by
        wait_until(lambda: len(self.confirmed) >= goal, LONG + by / 100, f"{by} more confirms")

    def end(self) -> None:
        self._enough.set()
        self._ending.result(LONG)
        self._pool.shutdown()

    def _publish(self) -> None:
        batch: list[Message] = []
        for first in count(0, 20):
            batch += numbered(first, first + 20, self._queue)
            failed: list[str] = []
            try:
                self._broker.publish(batch)
            except PublishFailed as error:
                failed = error.unconfirmed
            self.confirmed.extend(message.id for message in batch if message.id not in failed)
            batch = [message for message in batch if message.id in failed]
            if self._enough.wait(0.01) and not batch:
                return


def test_nothing_is_lost_over_a_restart_and_a_kill(
    rabbitmq: RabbitMq, broker: RabbitMqBroker, record_property: Callable[[str, object], None]
) -> None:
    broker.declare(["published"])
    publishing = Publishing(broker, "published")
    each = PUBLISHES // (RESTARTS + 1) + 1
    publishing.more(each)
    consumes_over_a_restart(rabbitmq, broker)
    for number in range(1, RESTARTS):
        publishing.more(each)
        # Not before: a node that is killed within seconds of a queue's making may forget that queue (seen with 3.10).
        end = rabbitmq.kill if number % 2 else rabbitmq.stop
        end()
        rabbitmq.start()
    publishing.more(each)
    publishing.end()
    confirmed = set(publishing.confirmed)
    received = {delivery.message_id for delivery in drain(broker.subscribe(["published"], prefetch=500), confirmed)}
    record_property("publishes_confirmed", len(confirmed))
    record_property("broker_restarts", RESTARTS)
    record_property("publishes_lost", len(confirmed - received))
    record_property("publishes_invented", len(received - confirmed))
    assert received == confirmed


def consumes_over_a_restart(rabbitmq: RabbitMq, broker: RabbitMqBroker) -> None:
    broker.publish(numbered(0, 100))
    subscription = broker.subscribe(["work"], prefetch=50)
    before = collect(subscription, 30)
    subscription.acknowledge(before[:10])
    wait_until(lambda: broker.depth("work").ready == 40, LONG, "the acknowledgements")

    rabbitmq.stop()
    assert subscription.receive(10, 0) == []
    rabbitmq.start()

    subscription.acknowledge(before[10:])  # of the old connection: they come again
    again = drain(subscription, {f"m{number}" for number in range(10, 100)})
    assert len(again) == 90
    assert {delivery.message_id for delivery in again if delivery.redelivered} >= {d.message_id for d in before[10:]}
    subscription.close()


def test_a_message_carries_its_trace_context_as_a_header(broker: RabbitMqBroker) -> None:
    context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    broker.publish([Message("traced", "work", b"", context), Message("other", "work", b"")])
    deliveries = collect(broker.subscribe(["work"], prefetch=2), 2)
    headers = {delivery.message_id: dict(cast(Incoming, delivery.tag).headers) for delivery in deliveries}
    assert headers == {"traced": {"traceparent": context}, "other": {}}


def test_a_frozen_broker_holds_nobody(rabbitmq: RabbitMq, amqp_url: str) -> None:
    publisher = RabbitMqPublisher(amqp_url, "test", confirm_seconds=0.2)
    publisher.declare_exchange("exchange")
    publisher.declare_queue("work", "exchange", {"x-queue-type": "quorum"})
    rabbitmq.freeze()
    try:
        with pytest.raises(Unconfirmed, match="no confirm") as failure:
            publisher.publish("exchange", [Outgoing(f"m{number}", "work", b"") for number in range(1500)])
        assert len(failure.value.reasons) == 1500
        publisher.close()
    finally:
        rabbitmq.thaw()


def test_consuming_goes_on_when_a_frozen_broker_wakes(rabbitmq: RabbitMq, broker: RabbitMqBroker) -> None:
    broker.publish(numbered(0, 3))
    subscription = broker.subscribe(["work"], prefetch=2)
    held = collect(subscription, 2)
    rabbitmq.freeze()
    try:
        subscription.acknowledge(held)
        assert subscription.receive(10, 0.2) == []
    finally:
        rabbitmq.thaw()
    [last] = collect(subscription, 1)  # which has room only because those two were acknowledged
    assert (last.message_id, last.redelivered) == ("m2", False)


def test_publishing_goes_on_when_a_frozen_broker_wakes(rabbitmq: RabbitMq, amqp_url: str) -> None:
    publisher = RabbitMqPublisher(amqp_url, "test", confirm_seconds=0.2)
    try:
        publisher.declare_exchange("exchange")
        publisher.declare_queue("work", "exchange", {"x-queue-type": "quorum"})
        rabbitmq.freeze()
        try:
            with pytest.raises(Unconfirmed):
                publisher.publish("exchange", [Outgoing("late", "work", b"")])
        finally:
            rabbitmq.thaw()
        publisher.publish("exchange", [Outgoing("next", "work", b"")])
        assert publisher.count("work").ready == 2
    finally:
        publisher.close()


def test_a_fault_in_the_io_thread_costs_the_connection_only(amqp_url: str, caplog: pytest.LogCaptureFixture) -> None:
    client = RabbitMqClient(amqp_url, "test")
    try:
        client.wait_ready()
        client._call(lambda: [][0])
        wait_until(lambda: "IndexError" in caplog.text, LONG, "the fault")
        client.declare_exchange("exchange")
    finally:
        client.close()


def spoken(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


def test_no_error_and_no_log_tells_the_password(rabbitmq: RabbitMq, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong_password = f"amqp://yeeter:{SECRET}@127.0.0.1:{rabbitmq.port}/"
    nobody_there = f"amqp://yeeter:{SECRET}@127.0.0.1:{free_port()}/"
    for url, reason in ((wrong_password, "ACCESS_REFUSED"), (nobody_there, "Connection refused")):
        broker = RabbitMqBroker(url, connect_seconds=0.5)
        calls: tuple[Callable[[], object], ...] = (
            partial(broker.publish, numbered(0, 1)),
            partial(broker.declare, ["work"]),
            partial(broker.subscribe, ["work"], 1),
            partial(broker.depth, "work"),
        )
        for call in calls:
            with pytest.raises(Unavailable, match=reason) as failure:
                call()
            assert SECRET not in spoken(failure.value)
        broker.close()
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        f"amqp://user:{SECRET}#7@host/",
        f"amqp://user:12{SECRET}/x@host:5672/",
        f"amqp://user:{SECRET}@host:port/",
        f"http://user:{SECRET}@host/",
        f"amqp://user:{SECRET}@host/?no_such_option=1",
        "",
    ],
)
def test_a_wrong_url_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(InvalidInput, match="RABBITMQ_URL") as failure:
        RabbitMqBroker(url)
    assert SECRET not in spoken(failure.value)


def test_errors_say_which_broker_and_what_to_do(rabbitmq: RabbitMq, broker: RabbitMqBroker) -> None:
    with pytest.raises(YeeterError) as failure:
        broker.depth("missing")
    text = str(failure.value)
    assert f"127.0.0.1:{rabbitmq.port}" in text
    assert "no queue 'missing'" in text
    assert "queues are made when" in text
    assert PASSWORD not in text
    assert "\n" not in text
