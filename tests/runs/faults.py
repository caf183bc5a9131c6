"""Databases that do what happens to processes: one that dies with its producer, and one that freezes it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.adapters.database import SqlDatabase
from app.domain.errors import Conflict
from app.domain.run import Run
from app.ports import UnitOfWork
from tests.runs.conftest import World


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

    def __init__(self, world: World, run: Run) -> None:
        self.ended: Run | None = None
        self.error: BaseException | None = None
        self.leaving = threading.Event()
        self._producer = world.producer(run)
        self._thread = threading.Thread(target=self._produce, daemon=True)
        self._thread.start()

    def _produce(self) -> None:
        try:
            self.ended = self._producer.produce(self.leaving)
        except BaseException as error:
            self.error = error

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
    while True:
        producing = Producing(world, run)
        producing._thread.join(0.1)
        if not (
            producing.is_over and isinstance(producing.error, Conflict) and "another producer" in str(producing.error)
        ):
            return producing
