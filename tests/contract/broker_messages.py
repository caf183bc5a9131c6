"""Messages for the tests of the broker port, and ways to receive them."""

from __future__ import annotations

from app.ports import Broker, Delivery, Message, Subscription

LONG = 30.0  # seconds to wait for what must come


def numbered(first: int, last: int, queue: str = "work") -> list[Message]:
    """Messages ``m<first>`` up to ``m<last - 1>``."""
    return [Message(f"m{number}", queue, f"body of m{number}".encode()) for number in range(first, last)]


def collect(subscription: Subscription, count: int) -> list[Delivery]:
    """So many deliveries, in as many calls as it takes."""
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


def bring_back(broker: Broker, times: int, queue: str = "work") -> None:
    """Deliver what is in the queue so often, to consumers that end without acknowledging it."""
    for _ in range(times):
        subscription = broker.subscribe([queue], prefetch=10)
        collect(subscription, 1)
        subscription.close()
