"""A destination's rate, kept by all workers together: its row hands out permissions, a few at once to each process."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

from app.domain.destination import DicomDestination
from app.domain.errors import Unavailable
from app.ports import Database

log = structlog.get_logger()

LEASED_SECONDS = 0.1  # of the rate, leased at once where fewer hands are waiting
LOOK = 0.25  # seconds between two looks whether it is over
RETRY = 1.0  # seconds after a database that could not be reached


class RateGate:
    """Shared by the hands of a worker. One of them asks the database, for all that wait."""

    def __init__(self, database: Database, is_stopping: Callable[[], bool]) -> None:
        self._database = database
        self._is_stopping = is_stopping
        self._changed = threading.Condition()  # guards what follows; by key
        self._leased: Counter[str] = Counter()
        self._waiting: Counter[str] = Counter()
        self._asked: set[str] = set()

    def permission(self, destination: DicomDestination, is_over: Callable[[], bool]) -> bool:
        """Wait until one more study may be sent; False when the worker stops, or it is over, before that."""
        if destination.rate is None:
            return True
        key = destination.key
        self._count(key, 1)
        try:
            while not (self._is_stopping() or is_over()):
                if self._take_leased(key):
                    return True
                self._ask(key, destination.rate)
            return False
        finally:
            self._count(key, -1)

    def _count(self, key: str, change: int) -> None:
        with self._changed:
            self._waiting[key] += change

    def _take_leased(self, key: str) -> bool:
        with self._changed:
            if not self._leased[key]:
                return False
            self._leased[key] -= 1
            return True

    def _ask(self, key: str, rate: float) -> None:
        """Ask for more, or wait for what another hand is told."""
        with self._changed:
            if key in self._asked:
                self._changed.wait(LOOK)
                return
            self._asked.add(key)
            wanted = max(self._waiting[key], math.ceil(rate * LEASED_SECONDS))
        granted = 0
        try:
            granted, seconds = self._lease(key, rate, wanted)
            if not granted:
                time.sleep(min(seconds, LOOK))
        finally:
            with self._changed:
                self._leased[key] += granted
                self._asked.discard(key)
                self._changed.notify_all()

    def _lease(self, key: str, rate: float, wanted: int) -> tuple[int, float]:
        try:
            with self._database.transaction() as work:
                return work.destinations.take(key, rate, wanted)
        except Unavailable as error:
            log.warning("waiting for the database", reason=str(error))
            return 0, RETRY
