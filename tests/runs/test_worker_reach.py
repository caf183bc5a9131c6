"""What a worker holds follows how fast it is."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from app.adapters.broker.in_process import InProcessBroker, InProcessSubscription
from app.runs.working.desk import Desk
from app.runs.working.inbox import Inbox
from app.runs.working.reach import Reach
from app.runs.working.taker import ClaimTerms, Taker
from tests.runs.conftest import QUEUE, World
from tests.services.processes import wait_until


class _Subscription(InProcessSubscription):
    widened: list[int]

    def widen(self, more: int) -> None:
        self.widened.append(more)
        super().widen(more)


class _Broker(InProcessBroker):
    """It remembers by how much a subscription was widened."""

    def __init__(self) -> None:
        super().__init__()
        self.widened: list[int] = []
        self.declare([QUEUE])

    def subscribe(self, queues: Sequence[str], prefetch: int) -> InProcessSubscription:
        subscription = _Subscription(self, queues, prefetch)
        subscription.widened = self.widened
        return subscription


def opened(broker: _Broker, messages: int) -> Inbox:
    inbox = Inbox(broker, [QUEUE], messages)
    inbox.open()
    return inbox


def test_an_inbox_tells_the_broker_what_has_changed_and_nothing_else() -> None:
    broker = _Broker()
    inbox = opened(broker, 32)
    for messages in (32, 256, 256, 32, 32, 256):
        inbox.hold(messages)
    assert broker.widened == [224, 0, 224]


def test_a_worker_that_became_fast_holds_more_and_one_that_has_nothing_to_do_less(world: World) -> None:
    now = [0.0]
    reach = Reach(1, 100, lambda: now[0])
    broker, desk = _Broker(), Desk()
    inbox = opened(broker, reach.holds)
    taker = Taker(ClaimTerms("w", 60, hands=1), inbox, desk, world.database, world.steps, reach)
    thread = threading.Thread(target=taker.work)
    thread.start()
    try:
        reach.done([0.002])
        wait_until(lambda: broker.widened == [92], 30, "holding more")
        now[0] += 60
        wait_until(lambda: broker.widened == [92, 0], 30, "holding less")
    finally:
        desk.stop()
        thread.join()
