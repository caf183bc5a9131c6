"""What only a real broker can show: dead consumers, restarts, freezes, full queues, and words that keep secrets."""

from __future__ import annotations

import logging
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.adapters.broker.rabbitmq import DEAD_QUEUE, WORK_QUEUE_ARGUMENTS, RabbitMqBroker
from app.domain.errors import InvalidInput, PublishFailed, Unavailable, YeeterError
from app.ports import Delivery, Message, Subscription
from app.util.rabbitmq_client import RabbitMqClient
from app.util.rabbitmq_publisher import Outgoing, RabbitMqPublisher, Unconfirmed
from tests.services.processes import Program, free_port, wait_until
from tests.services.rabbitmq import PASSWORD, RabbitMq

LONG = 20.0  # seconds to wait for what must come
SECRET = "Spilled-Beans"


@pytest.fixture
def broker(amqp_url: str) -> Iterator[RabbitMqBroker]:
    broker = RabbitMqBroker(amqp_url)
    broker.declare(["work"])
    yield broker
    broker.close()


@pytest.fixture
def virtual_host(amqp_url: str) -> str:
    return urlsplit(amqp_url).path[1:]


def numbered(first: int, last: int) -> list[Message]:
    return [Message(f"m{number}", "work", b"{}") for number in range(first, last)]


def collect(subscription: Subscription, count: int) -> list[Delivery]:
    deliveries: list[Delivery] = []
    while len(deliveries) < count:
        batch = subscription.receive(count - len(deliveries), LONG)
        assert batch, f"only {len(deliveries)} of {count} came"
        deliveries += batch
    return deliveries


def drain(subscription: Subscription, wanted: set[str]) -> list[Delivery]:
    """Receive and acknowledge until every id was seen."""
    received: list[Delivery] = []
    while not wanted <= {delivery.message_id for delivery in received}:
        batch = subscription.receive(500, LONG)
        assert batch, f"missing: {sorted(wanted - {delivery.message_id for delivery in received})}"
        subscription.acknowledge(batch)
        received += batch
    return received


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


def test_nothing_is_lost_over_a_restart_and_a_kill(rabbitmq: RabbitMq, broker: RabbitMqBroker) -> None:
    consumes_over_a_restart(rabbitmq, broker)
    # In this order: a node that is killed within seconds of a queue's making may forget that queue (seen with 3.10).
    publishes_over_a_kill(rabbitmq, broker)


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


def publishes_over_a_kill(rabbitmq: RabbitMq, broker: RabbitMqBroker) -> None:
    confirmed: list[str] = []

    def publish_all() -> None:
        for first in range(1000, 6000, 100):
            batch = numbered(first, first + 100)
            while batch:
                failed: list[str] = []
                try:
                    broker.publish(batch)
                except PublishFailed as error:
                    failed = error.unconfirmed
                confirmed.extend(message.id for message in batch if message.id not in failed)
                batch = [message for message in batch if message.id in failed]

    with ThreadPoolExecutor() as pool:
        publishing = pool.submit(publish_all)
        wait_until(lambda: len(confirmed) >= 1000, LONG, "the first 1,000")
        rabbitmq.kill()
        rabbitmq.start()
        publishing.result(LONG)
    assert len(confirmed) == 5000
    received = drain(broker.subscribe(["work"], prefetch=500), set(confirmed))
    assert {delivery.message_id for delivery in received} == set(confirmed)


def test_a_message_that_kills_each_consumer_is_set_aside(broker: RabbitMqBroker) -> None:
    broker.publish([Message("poison", "work", b"{}")])
    for _ in range(WORK_QUEUE_ARGUMENTS["x-delivery-limit"] + 1):  # type: ignore[operator]
        subscription = broker.subscribe(["work"], prefetch=1)
        collect(subscription, 1)
        subscription.close()
    [dead] = collect(broker.subscribe([DEAD_QUEUE], prefetch=1), 1)
    assert dead.message_id == "poison"
    assert broker.depth("work").ready == 0


def test_consuming_goes_on_when_its_queue_was_deleted_and_made_again(
    rabbitmq: RabbitMq, virtual_host: str, broker: RabbitMqBroker, caplog: pytest.LogCaptureFixture
) -> None:
    subscription = broker.subscribe(["work"], prefetch=10)
    rabbitmq.delete_queue(virtual_host, "work")
    wait_until(lambda: "consuming was cancelled" in caplog.text, LONG, "the cancellation")
    broker.declare(["work"])
    broker.publish(numbered(0, 1))
    assert [delivery.message_id for delivery in collect(subscription, 1)] == ["m0"]


def test_a_full_queue_refuses_by_name(amqp_url: str) -> None:
    publisher = RabbitMqPublisher(amqp_url, "test")
    try:
        publisher.declare_exchange("exchange")
        arguments = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length": 1}
        publisher.declare_queue("small", "exchange", arguments)
        with pytest.raises(Unconfirmed) as failure:
            for number in range(20):  # the limit holds with a little delay
                publisher.publish("exchange", [Outgoing(f"m{number}", "small", b"")])
        assert list(failure.value.reasons.values()) == ["refused by the broker"]
        assert publisher.count("small").ready < 20
    finally:
        publisher.close()


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
