"""The broker port: what holds over RabbitMQ holds in process, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.domain.errors import PublishFailed, Unavailable
from app.ports import DEAD_QUEUE, DELIVERY_LIMIT, Broker, Delivery, Message, QueueDepth
from tests.contract.broker_messages import LONG, bring_back, collect, numbered
from tests.services.processes import wait_until

SHORT = 0.2  # seconds to wait for what must not come


@pytest.fixture(params=["in_process", "rabbitmq"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker with the queues ``work`` and ``other``, both empty."""
    broker: Broker
    if request.param == "in_process":
        broker = InProcessBroker()
    else:
        broker = RabbitMqBroker(request.getfixturevalue("amqp_url"), connect_seconds=1)
    broker.declare(["work", "other"])
    yield broker
    broker.close()


def messages(*names: str, queue: str = "work") -> list[Message]:
    return [Message(name, queue, f"body of {name}".encode()) for name in names]


def ids_of(published: Sequence[Message]) -> list[str]:
    return sorted(message.id for message in published)


def ids(deliveries: Sequence[Delivery]) -> list[str]:
    return [delivery.message_id for delivery in deliveries]


def test_delivers_what_was_published_in_order(broker: Broker) -> None:
    broker.publish(numbered(0, 50))
    deliveries = collect(broker.subscribe(["work"], prefetch=100), 50)
    assert [(d.message_id, d.queue, d.body, d.redelivered) for d in deliveries] == [
        (m.id, "work", m.body, False) for m in numbered(0, 50)
    ]


def test_a_body_may_be_empty_or_large(broker: Broker) -> None:
    bodies = [b"", bytes(range(256)) * 2048]
    broker.publish([Message(f"m{number}", "work", body) for number, body in enumerate(bodies)])
    assert [d.body for d in collect(broker.subscribe(["work"], prefetch=10), 2)] == bodies


def test_publishing_nothing_does_nothing(broker: Broker) -> None:
    broker.publish([])
    assert broker.depth("work").ready == 0


def test_receives_what_is_published_while_it_waits(broker: Broker) -> None:
    subscription = broker.subscribe(["work"], prefetch=10)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(subscription.receive, 10, LONG)
        broker.publish(messages("late"))
        assert ids(waiting.result()) == ["late"]


def test_receives_nothing_when_nothing_comes(broker: Broker) -> None:
    subscription = broker.subscribe(["work"], prefetch=10)
    assert subscription.receive(10, 0) == []
    assert subscription.receive(10, SHORT) == []


def test_receives_no_more_than_asked_for(broker: Broker) -> None:
    broker.publish(numbered(0, 10))
    subscription = broker.subscribe(["work"], prefetch=10)
    assert len(subscription.receive(3, LONG)) <= 3


def test_acknowledged_is_gone_and_the_rest_comes_again_marked(broker: Broker) -> None:
    broker.publish(messages("a", "b", "c"))
    first = broker.subscribe(["work"], prefetch=10)
    deliveries = collect(first, 3)
    first.acknowledge([deliveries[2], deliveries[0]])
    first.close()

    second = broker.subscribe(["work"], prefetch=10)
    assert [(d.message_id, d.redelivered) for d in collect(second, 1)] == [("b", True)]
    assert second.receive(10, SHORT) == []


def test_exactly_what_was_acknowledged_is_gone_whatever_came_first(broker: Broker) -> None:
    broker.publish(numbered(0, 12))
    first = broker.subscribe(["work"], prefetch=20)
    deliveries = collect(first, 12)
    groups = [4], [0, 1, 2], [7, 3, 11], [0, 4]  # the last ones once more, which does nothing
    for group in groups:
        first.acknowledge([deliveries[number] for number in group])
    first.give_back([deliveries[5]])
    first.close()

    left = [delivery.message_id for number, delivery in enumerate(deliveries) if number in (5, 6, 8, 9, 10)]
    second = broker.subscribe(["work"], prefetch=20)
    assert sorted(ids(collect(second, len(left)))) == sorted(left)
    assert second.receive(10, SHORT) == []


def test_what_was_never_received_comes_to_the_next_subscription(broker: Broker) -> None:
    broker.publish(numbered(0, 5))
    broker.subscribe(["work"], prefetch=2).close()
    assert sorted(ids(collect(broker.subscribe(["work"], prefetch=10), 5))) == ids_of(numbered(0, 5))


def test_holds_no_more_than_its_prefetch(broker: Broker) -> None:
    broker.publish(numbered(0, 5))
    subscription = broker.subscribe(["work"], prefetch=2)
    held = collect(subscription, 2)
    assert subscription.receive(10, SHORT) == []

    subscription.acknowledge(held[:1])
    collect(subscription, 1)
    assert subscription.receive(10, SHORT) == []


def test_holds_more_while_it_may(broker: Broker) -> None:
    broker.publish(numbered(0, 8))
    subscription = broker.subscribe(["work"], prefetch=2)
    collect(subscription, 2)
    subscription.widen(3)
    held = collect(subscription, 3)
    assert subscription.receive(10, SHORT) == []

    subscription.widen(0)
    subscription.acknowledge(held[:1])
    assert subscription.receive(10, SHORT) == []  # four are held of the two that may be


def test_nothing_is_lost_where_it_may_hold_more_and_then_less(broker: Broker) -> None:
    broker.publish(numbered(0, 200))
    subscription, received = broker.subscribe(["work"], prefetch=4), set[str]()
    for more in (40, 7, 0, 30, 0, 30):
        subscription.widen(more)
        deliveries = subscription.receive(60, LONG)
        received.update(ids(deliveries))
        subscription.acknowledge(deliveries)
    while len(received) < 200:
        deliveries = subscription.receive(60, LONG)
        assert deliveries
        received.update(ids(deliveries))
        subscription.acknowledge(deliveries)
    subscription.close()
    assert broker.subscribe(["work"], prefetch=10).receive(10, SHORT) == []


def test_several_queues_share_what_may_be_held_more(broker: Broker) -> None:
    broker.publish([*numbered(0, 10), *messages(*(f"o{number}" for number in range(10)), queue="other")])
    subscription = broker.subscribe(["work", "other"], prefetch=2)
    subscription.widen(4)
    collect(subscription, 6)
    assert subscription.receive(10, SHORT) == []


def test_what_one_subscription_does_not_hold_goes_to_another(broker: Broker) -> None:
    broker.publish(numbered(0, 4))
    first, second = (broker.subscribe(["work"], prefetch=2) for _ in range(2))
    assert sorted(ids(collect(first, 2) + collect(second, 2))) == ids_of(numbered(0, 4))


def test_consumes_from_several_queues(broker: Broker) -> None:
    broker.publish(messages("a", "b") + messages("c", queue="other"))
    subscription = broker.subscribe(["work", "other"], prefetch=10)
    assert {(d.message_id, d.queue) for d in collect(subscription, 3)} == {
        ("a", "work"),
        ("b", "work"),
        ("c", "other"),
    }


def test_several_queues_share_the_prefetch(broker: Broker) -> None:
    broker.publish(numbered(0, 5) + messages(*"abcde", queue="other"))
    subscription = broker.subscribe(["work", "other"], prefetch=4)
    held = collect(subscription, 4)
    assert subscription.receive(10, SHORT) == []

    received = len(held)
    while received < 10:
        subscription.acknowledge(held)
        held = subscription.receive(10, LONG)
        assert 1 <= len(held) <= 4
        received += len(held)


def test_a_queue_that_was_not_subscribed_to_keeps_its_messages(broker: Broker) -> None:
    broker.publish(messages("elsewhere", queue="other"))
    assert broker.subscribe(["work"], prefetch=10).receive(10, SHORT) == []
    assert broker.depth("other").ready == 1


def test_given_back_goes_to_somebody_else_marked(broker: Broker) -> None:
    broker.publish(messages("a", "b"))
    leaving = broker.subscribe(["work"], prefetch=10)
    deliveries = collect(leaving, 2)
    leaving.acknowledge(deliveries[:1])
    leaving.give_back(deliveries[1:])
    leaving.close()

    staying = broker.subscribe(["work"], prefetch=10)
    assert [(d.message_id, d.redelivered) for d in collect(staying, 1)] == [("b", True)]
    assert staying.receive(10, SHORT) == []


def test_settling_after_the_end_does_nothing(broker: Broker) -> None:
    broker.publish(messages("a", "b"))
    ended = broker.subscribe(["work"], prefetch=10)
    old = collect(ended, 2)
    ended.close()
    ended.close()
    ended.acknowledge(old[:1])
    ended.give_back(old[1:])
    assert ended.receive(10, LONG) == []
    assert sorted(ids(collect(broker.subscribe(["work"], prefetch=10), 2))) == ["a", "b"]


def test_what_went_back_to_its_queue_is_not_ours_any_more(broker: Broker) -> None:
    broker.publish(messages("a", "b"))
    subscription = broker.subscribe(["work"], prefetch=10)
    deliveries = collect(subscription, 2)
    assert subscription.still_ours(deliveries) == deliveries
    subscription.close()
    assert subscription.still_ours(deliveries) == []


def test_a_subscription_consumes_until_its_end(broker: Broker) -> None:
    subscription = broker.subscribe(["work"], prefetch=10)
    assert subscription.is_consuming
    subscription.close()
    assert not subscription.is_consuming


def test_acknowledges_from_many_threads(broker: Broker) -> None:
    broker.publish(numbered(0, 200))
    subscription = broker.subscribe(["work"], prefetch=40)
    seen: list[str] = []
    with ThreadPoolExecutor(8) as pool:
        while len(seen) < 200:
            for delivery in collect(subscription, 1):
                seen.append(delivery.message_id)
                pool.submit(subscription.acknowledge, [delivery])
    subscription.close()
    assert sorted(seen) == ids_of(numbered(0, 200))
    assert broker.subscribe(["work"], prefetch=10).receive(10, SHORT) == []


def test_publishes_from_many_threads(broker: Broker) -> None:
    batches = [messages(*(f"{name}{number}" for number in range(100))) for name in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(broker.publish, batches))
    received = ids(collect(broker.subscribe(["work"], prefetch=500), 400))
    assert sorted(received) == ids_of([message for batch in batches for message in batch])
    for batch in batches:
        assert [name for name in received if name[0] == batch[0].id[0]] == [message.id for message in batch]


def test_the_end_wakes_a_thread_that_waits(broker: Broker) -> None:
    subscription = broker.subscribe(["work"], prefetch=10)
    received: list[list[Delivery]] = []
    waiting = threading.Thread(target=lambda: received.append(subscription.receive(10, 60)))
    waiting.start()
    subscription.close()
    waiting.join(LONG)
    assert received == [[]]


def test_depth_counts_what_is_ready_and_who_consumes(broker: Broker) -> None:
    assert broker.depth("work") == QueueDepth(0, 0)
    broker.publish(numbered(0, 3))
    assert broker.depth("work") == QueueDepth(3, 0)
    subscription = broker.subscribe(["work"], prefetch=10)
    subscription.acknowledge(collect(subscription, 3))
    assert broker.depth("work") == QueueDepth(0, 1)
    subscription.close()
    wait_until(lambda: broker.depth("work").consumers == 0, LONG, "end of the consumer")


def test_declaring_again_keeps_what_is_there(broker: Broker) -> None:
    broker.publish(messages("kept"))
    broker.declare(["work", "third"])
    assert broker.depth("work").ready == 1
    assert broker.depth("third").ready == 0


def test_a_message_without_a_queue_is_named_and_the_others_arrive(broker: Broker) -> None:
    with pytest.raises(PublishFailed, match="nowhere") as failure:
        broker.publish([*messages("a"), *messages("lost-1", "lost-2", queue="nowhere"), *messages("b")])
    assert failure.value.unconfirmed == ["lost-1", "lost-2"]
    assert ids(collect(broker.subscribe(["work"], prefetch=10), 2)) == ["a", "b"]


def test_a_queue_that_is_not_there_is_named(broker: Broker) -> None:
    with pytest.raises(Unavailable, match="nowhere"):
        broker.depth("nowhere")
    with pytest.raises(Unavailable, match="nowhere"):
        broker.subscribe(["work", "nowhere"], prefetch=10)


def test_what_comes_back_too_often_is_set_aside_once_and_says_where_it_was(broker: Broker) -> None:
    broker.publish(messages("poison"))
    bring_back(broker, DELIVERY_LIMIT + 1)
    dead = broker.subscribe([DEAD_QUEUE], prefetch=10)
    [delivery] = collect(dead, 1)
    assert (delivery.message_id, delivery.queue, delivery.body) == ("poison", DEAD_QUEUE, b"body of poison")
    assert (delivery.origin, delivery.cause, delivery.redelivered) == ("work", "delivery_limit", False)
    dead.acknowledge([delivery])
    assert dead.receive(10, SHORT) == []
    for queue in ("work", DEAD_QUEUE):
        wait_until(lambda name=queue: broker.depth(name).ready == 0, LONG, f"end of what was in {queue}")


def test_what_comes_back_as_often_as_it_may_is_delivered_once_more(broker: Broker) -> None:
    broker.publish(messages("lively"))
    bring_back(broker, DELIVERY_LIMIT)
    [delivery] = collect(broker.subscribe(["work"], prefetch=10), 1)
    assert (delivery.message_id, delivery.redelivered) == ("lively", True)
    assert (delivery.origin, delivery.cause) == ("", "")


def test_a_dead_message_stays_until_it_is_acknowledged(broker: Broker) -> None:
    broker.publish(messages("poison"))
    bring_back(broker, DELIVERY_LIMIT + 1)
    bring_back(broker, DELIVERY_LIMIT + 1, DEAD_QUEUE)
    [delivery] = collect(broker.subscribe([DEAD_QUEUE], prefetch=10), 1)
    assert (delivery.message_id, delivery.origin, delivery.redelivered) == ("poison", "work", True)


def test_a_dead_message_published_anew_begins_anew(broker: Broker) -> None:
    broker.publish(messages("again"))
    bring_back(broker, DELIVERY_LIMIT + 1)
    dead = broker.subscribe([DEAD_QUEUE], prefetch=10)
    [delivery] = collect(dead, 1)
    broker.publish([Message(delivery.message_id, delivery.origin, delivery.body)])
    dead.acknowledge([delivery])
    [fresh] = collect(broker.subscribe(["work"], prefetch=10), 1)
    assert (fresh.message_id, fresh.redelivered, fresh.origin) == ("again", False, "")


def test_the_dead_queue_may_be_declared_and_not_published_to(broker: Broker) -> None:
    broker.declare([DEAD_QUEUE])
    with pytest.raises(PublishFailed, match=DEAD_QUEUE):
        broker.publish(messages("a", queue=DEAD_QUEUE))
    assert broker.depth(DEAD_QUEUE).ready == 0


def test_without_trouble_there_is_nothing_to_say(broker: Broker) -> None:
    assert broker.trouble() == ""
    broker.publish(messages("a"))
    assert broker.trouble() == ""
    assert broker.depth("work").ready == 1


def test_nothing_works_after_the_end(broker: Broker) -> None:
    subscription = broker.subscribe(["work"], prefetch=10)
    broker.close()
    broker.close()
    assert subscription.receive(1, LONG) == []
    with pytest.raises(PublishFailed) as failure:
        broker.publish(messages("a", "b"))
    assert failure.value.unconfirmed == ["a", "b"]
    with pytest.raises(Unavailable):
        broker.declare(["work"])
    with pytest.raises(Unavailable):
        broker.subscribe(["work"], prefetch=1)
    with pytest.raises(Unavailable):
        broker.depth("work")
    assert "closed" in broker.trouble()
