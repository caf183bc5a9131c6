"""A worker's subscription: a broker that is away delays, and raises nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog

from app.domain.errors import Unavailable
from app.ports import Broker, Delivery, Subscription

log = structlog.get_logger()

PATIENCE = 0.25  # seconds to wait for a first message
RETRY = 1.0  # seconds after a broker or a database that could not be reached


class Waiting(Protocol):
    """What ``threading.Event`` has: wait for it so long, True when it is set."""

    def wait(self, timeout: float) -> bool: ...


class Inbox:
    """Thread-safe once it is open."""

    def __init__(self, broker: Broker, queues: Sequence[str], prefetch: int) -> None:
        self._broker = broker
        self._queues = tuple(queues)
        self._prefetch = self._held = prefetch
        self._subscription: Subscription | None = None

    def open(self) -> None:
        """Safe to repeat. Raises Unavailable when the broker can't be reached."""
        if self._subscription is None:
            self._subscription = self._broker.subscribe(self._queues, self._prefetch)

    @property
    def is_consuming(self) -> bool:
        return self._subscription is not None and self._subscription.is_consuming

    def hold(self, messages: int) -> None:
        """From now on so many at most, and no fewer than at the beginning."""
        if messages != self._held:
            self._held = messages
            self._opened().widen(messages - self._prefetch)

    def receive(self, maximum: int, stopping: Waiting, patience: float = PATIENCE) -> list[Delivery]:
        """Messages, or none after ``patience`` seconds."""
        try:
            return self._opened().receive(maximum, patience)
        except Unavailable as error:
            log.warning("waiting for the broker", reason=str(error))
            stopping.wait(RETRY)
            return []

    def still_ours(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Those, of deliveries that are not settled, that did not go back to their queue meanwhile."""
        return self._opened().still_ours(deliveries)

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        try:
            self._opened().acknowledge(deliveries)
        except Unavailable as error:
            log.warning("not acknowledged, will be delivered again", reason=str(error))

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        try:
            self._opened().give_back(deliveries)
        except Unavailable as error:
            log.warning("not given back, will be delivered again", reason=str(error))

    def close(self) -> None:
        """What is neither acknowledged nor given back goes back to its queue."""
        if self._subscription is not None:
            self._subscription.close()

    def _opened(self) -> Subscription:
        assert self._subscription is not None
        return self._subscription
