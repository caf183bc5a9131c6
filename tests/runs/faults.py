"""What happens to processes: databases that die with a producer, or freeze it, and a connection that is cut."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from app.adapters.broker.in_process import InProcessBroker
from app.adapters.database import SqlDatabase
from app.domain.errors import Conflict
from app.domain.run import Run
from app.ports import Delivery, Subscription, UnitOfWork
from tests.runs.conftest import World


class CutBroker:
    """A worker's connection to a broker that others have, too: what it holds goes back when it is cut."""

    def __init__(self, broker: InProcessBroker) -> None:
        self._broker = broker
        self._subscriptions: list[_CutSubscription] = []

    def subscribe(self, queues: Sequence[str], prefetch: int) -> Subscription:
        self._subscriptions.append(_CutSubscription(lambda: self._broker.subscribe(queues, prefetch)))
        return self._subscriptions[-1]

    def cut(self) -> None:
        for subscription in self._subscriptions:
            subscription.now.close()

    def mend(self) -> None:
        for subscription in self._subscriptions:
            subscription.now = subscription.open()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


class _CutSubscription:
    def __init__(self, open: Callable[[], Subscription]) -> None:
        self.open = open
        self.now = open()

    def receive(self, maximum: int, timeout: float) -> list[Delivery]:
        received = self.now.receive(maximum, timeout)
        if not received:
            time.sleep(0.01)  # one that was closed does not wait
        return received

    def __getattr__(self, name: str) -> Any:
        return getattr(self.now, name)


class Killed(Exception):
    """What a killed process would not live to see."""


class MortalDatabase:
    """After ``kill``, or so many transactions, nothing is written any more: as if its process had been killed."""

    def __init__(self, database: SqlDatabase, transactions: int | None = None) -> None:
        self.queries = database.queries
        self.feed = database.feed
        self._database = database
        self._left = transactions
        self._turn = threading.Lock()
        self.is_dead = threading.Event()

    def kill(self) -> None:
        self.is_dead.set()

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        with self._turn:
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    self.is_dead.set()
        self._check()
        with self._database.transaction() as work:
            yield work
            self._check()
        self._check()

    def _check(self) -> None:
        if self.is_dead.is_set():
            raise Killed


class FreezingDatabase:
    """While it is frozen nobody gets any further who wants to read or write: as if his process had been stopped."""

    def __init__(self, database: SqlDatabase) -> None:
        self.queries = database.queries
        self.feed = database.feed
        self._database = database
        self._flows = threading.Event()
        self._flows.set()

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        self._flows.wait(60)
        with self._database.transaction() as work:
            yield work


class Producing:
    """A producer in a thread; what it raises is kept."""

    def __init__(self, world: World, run: Run, *, waits_for_the_lease: bool = False) -> None:
        self.ended: Run | None = None
        self.error: BaseException | None = None
        self.leaving = threading.Event()
        self._waits = waits_for_the_lease
        self._producer = world.producer(run)
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._thread.start()

    def _produce(self) -> None:
        try:
            self.ended = self._produced()
        except BaseException as error:
            self.error = error

    def _produced(self) -> Run:
        while True:
            try:
                return self._producer.produce(self.leaving)
            except Conflict as error:
                if not (self._waits and "another producer is running" in str(error)):
                    raise
                time.sleep(0.05)

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> Run:
        """The run as it ended."""
        self.join()
        if self.error is not None:
            raise self.error
        assert self.ended is not None
        return self.ended

    def join(self) -> BaseException | None:
        """What it raised, once it is over."""
        self._thread.join(120)
        assert self.is_over, "it hangs"
        return self.error


def take_over(world: World, run: Run) -> Producing:
    """The next producer, once the lease of the last one has run out."""
    return Producing(world, run, waits_for_the_lease=True)
