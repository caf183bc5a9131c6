"""Emptying a queue, over both brokers."""

from __future__ import annotations

import pytest

from app.domain.errors import Unavailable
from app.ports import Broker
from tests.contract.broker_messages import collect, numbered
from tests.contract.test_broker import SHORT, broker  # noqa: F401 - a fixture


def test_what_waits_is_thrown_away_and_what_is_held_is_not(broker: Broker) -> None:  # noqa: F811
    broker.publish(numbered(0, 5) + numbered(5, 8, queue="other"))
    subscription = broker.subscribe(["work"], prefetch=2)
    held = collect(subscription, 2)
    assert broker.purge("work") == 3
    assert (broker.depth("work").ready, broker.depth("other").ready) == (0, 3)
    subscription.acknowledge(held)
    assert subscription.receive(10, SHORT) == []
    assert broker.purge("work") == 0


def test_a_queue_that_is_not_there_can_not_be_emptied(broker: Broker) -> None:  # noqa: F811
    with pytest.raises(Unavailable, match="nowhere"):
        broker.purge("nowhere")
    assert broker.purge("work") == 0
