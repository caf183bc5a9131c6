"""What operators and full machines do to a real broker: alarms, full queues, removed bindings, deleted queues."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from app.adapters.broker.rabbitmq import DEAD_EXCHANGE, JOBS_EXCHANGE, RabbitMqBroker
from app.domain.errors import PublishFailed, Unavailable
from app.ports import DEAD_QUEUE, DELIVERY_LIMIT, Delivery, Message
from tests.contract.broker_messages import LONG, bring_back, collect, drain, numbered
from tests.services.processes import wait_until
from tests.services.rabbitmq import RabbitMq


@pytest.fixture
def broker(amqp_url: str) -> Iterator[RabbitMqBroker]:
    broker = RabbitMqBroker(amqp_url)
    broker.declare(["work"])
    yield broker
    broker.close()


@pytest.fixture
def other(amqp_url: str) -> Iterator[RabbitMqBroker]:
    """Another process's, which has declared nothing."""
    broker = RabbitMqBroker(amqp_url)
    yield broker
    broker.close()


@pytest.fixture
def virtual_host(amqp_url: str) -> str:
    return urlsplit(amqp_url).path[1:]


def publish_until_refused(broker: RabbitMqBroker, most: int) -> tuple[list[str], PublishFailed]:
    """One message after the other (limits hold with a little delay): those that were confirmed, and the refusal."""
    confirmed: list[str] = []
    for number in range(most):
        try:
            broker.publish(numbered(number, number + 1))
        except PublishFailed as refusal:
            return confirmed, refusal
        confirmed.append(f"m{number}")
    raise AssertionError(f"all of {most} were confirmed")


def publish_until_confirmed(broker: RabbitMqBroker, *messages: Message) -> None:
    def is_confirmed() -> bool:
        try:
            broker.publish(messages)
        except PublishFailed:
            return False
        return True

    wait_until(is_confirmed, LONG, "the confirm")


def ids(deliveries: list[Delivery]) -> set[str]:
    return {delivery.message_id for delivery in deliveries}


# --- It takes no messages ---------------------------------------------------------------------------------------------


def test_an_alarm_is_told_and_publishing_goes_on_afterwards(
    rabbitmq: RabbitMq, broker: RabbitMqBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.publish(numbered(0, 10))
    with rabbitmq.alarm():
        wait_until(lambda: broker.trouble() != "", LONG, "the alarm")
        assert "takes no messages: low on memory" in broker.trouble()
        with pytest.raises(PublishFailed, match="takes no messages: low on memory") as failure:
            broker.publish(numbered(10, 2000))
        assert len(failure.value.unconfirmed) == 1990
        with pytest.raises(Unavailable, match="takes no messages: low on memory"):
            broker.depth("work")
    wait_until(lambda: broker.trouble() == "", LONG, "the end of the alarm")
    broker.publish(numbered(10, 20))
    wanted = {message.id for message in numbered(0, 20)}
    assert ids(drain(broker.subscribe(["work"], prefetch=100), wanted)) == wanted
    assert caplog.text.count("takes no messages: low on memory") == 1
    assert caplog.text.count("takes messages again") == 1


def test_an_alarm_fails_what_is_on_its_way_and_late_confirms_concern_nobody(
    rabbitmq: RabbitMq, broker: RabbitMqBroker, other: RabbitMqBroker, caplog: pytest.LogCaptureFixture
) -> None:
    everything = numbered(0, 1500)
    with rabbitmq.alarm():
        wait_until(lambda: other.trouble() != "", LONG, "the alarm")
        with pytest.raises(PublishFailed, match="low on memory") as failure:
            broker.publish(everything)  # this connection is told only now
        assert len(failure.value.unconfirmed) > 1000
    publish_until_confirmed(broker, *everything)
    wanted = {message.id for message in everything}
    assert ids(drain(broker.subscribe(["work"], prefetch=500), wanted)) == wanted
    assert "no connection" not in caplog.text


def test_an_alarm_does_not_stop_those_who_consume(rabbitmq: RabbitMq, broker: RabbitMqBroker) -> None:
    broker.publish(numbered(0, 3))
    with rabbitmq.alarm():
        wait_until(lambda: broker.trouble() != "", LONG, "the alarm")
        subscription = broker.subscribe(["work"], prefetch=1)
        for _ in range(3):
            subscription.acknowledge(collect(subscription, 1))


def test_a_full_queue_says_so_loses_nothing_and_flows_again_when_drained(
    rabbitmq: RabbitMq, virtual_host: str, broker: RabbitMqBroker
) -> None:
    rabbitmq.limit_queue(virtual_host, "work", 5)
    confirmed, refusal = publish_until_refused(broker, 500)
    assert "full" in str(refusal) and "start workers" in str(refusal)
    subscription = broker.subscribe(["work"], prefetch=10)
    assert ids(drain(subscription, set(confirmed))) == set(confirmed)
    publish_until_confirmed(broker, Message("next", "work", b""))
    assert ids(drain(subscription, {"next"})) == {"next"}


def test_a_removed_binding_fails_the_messages_and_is_made_again(
    rabbitmq: RabbitMq, virtual_host: str, broker: RabbitMqBroker
) -> None:
    rabbitmq.unbind(virtual_host, JOBS_EXCHANGE, "work")
    with pytest.raises(PublishFailed, match=r"no queue is bound for 'work'.*made again") as failure:
        broker.publish(numbered(0, 3))
    assert failure.value.unconfirmed == ["m0", "m1", "m2"]
    broker.publish(numbered(0, 3))
    assert ids(collect(broker.subscribe(["work"], prefetch=10), 3)) == {"m0", "m1", "m2"}


# --- Deleted queues ---------------------------------------------------------------------------------------------------


def test_may_hold_more_also_after_a_lost_queue(rabbitmq: RabbitMq, virtual_host: str, broker: RabbitMqBroker) -> None:
    subscription = broker.subscribe(["work"], prefetch=1)
    subscription.widen(3)
    rabbitmq.delete_queue(virtual_host, "work")
    with pytest.raises(Unavailable, match=r"no queue 'work'.*made again"):
        subscription.receive(10, LONG)
    broker.publish(numbered(0, 6))
    collect(subscription, 4)
    assert subscription.receive(10, 0.2) == []


def test_a_deleted_queue_is_told_once_and_made_again(
    rabbitmq: RabbitMq, virtual_host: str, broker: RabbitMqBroker, caplog: pytest.LogCaptureFixture
) -> None:
    subscription = broker.subscribe(["work"], prefetch=10)
    rabbitmq.delete_queue(virtual_host, "work")
    with pytest.raises(Unavailable, match=r"no queue 'work'.*made again"):
        subscription.receive(10, LONG)
    broker.publish(numbered(0, 1))
    assert ids(collect(subscription, 1)) == {"m0"}
    assert "ended the consumer of queue 'work'; was it deleted?" in caplog.text


def test_a_deleted_queue_that_was_declared_elsewhere_is_told_until_it_is_there_again(
    rabbitmq: RabbitMq, virtual_host: str, broker: RabbitMqBroker, other: RabbitMqBroker
) -> None:
    subscription = other.subscribe(["work", DEAD_QUEUE], prefetch=10)
    rabbitmq.delete_queue(virtual_host, "work")
    for _ in range(2):
        with pytest.raises(Unavailable, match=r"no queue 'work'.*queues are made when"):
            subscription.receive(10, LONG)
    broker.declare(["work"])
    broker.publish(numbered(0, 1))

    def comes() -> list[Delivery]:
        try:
            return subscription.receive(10, 1)
        except Unavailable:
            return []

    wait_until(lambda: bool(comes()), LONG, "the message")


def remove_dead_queue(rabbitmq: RabbitMq, virtual_host: str) -> None:
    rabbitmq.delete_queue(virtual_host, DEAD_QUEUE)


def unbind_dead_queue(rabbitmq: RabbitMq, virtual_host: str) -> None:
    rabbitmq.unbind(virtual_host, DEAD_EXCHANGE, DEAD_QUEUE)


@pytest.mark.parametrize("remove", [remove_dead_queue, unbind_dead_queue])
def test_a_dead_message_waits_for_a_place_to_go(
    remove: Callable[[RabbitMq, str], None], rabbitmq: RabbitMq, virtual_host: str, broker: RabbitMqBroker
) -> None:
    remove(rabbitmq, virtual_host)
    broker.publish([Message("poison", "work", b"{}")])
    bring_back(broker, DELIVERY_LIMIT + 1)
    assert broker.subscribe(["work"], prefetch=10).receive(10, 1) == []

    broker.declare(["work"])
    dead = broker.subscribe([DEAD_QUEUE], prefetch=10)
    [delivery] = collect(dead, 1)
    assert (delivery.message_id, delivery.origin, delivery.cause) == ("poison", "work", "delivery_limit")
    dead.acknowledge([delivery])
    assert dead.receive(10, 1) == []
