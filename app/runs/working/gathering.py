"""How long a worker gathers what it then writes in one transaction.

A transaction takes about as long for one job as for ten, so jobs that keep coming are gathered: for three times as long
as the last transaction took, which leaves a quarter of the time for transactions. On an idle machine that is twenty
milliseconds; a database that is far away or busy is asked less often, and so is not kept busy by being asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LEAST, MOST = 0.02, 0.25  # seconds
RATIO = 3.0  # seconds of gathering for a second of a transaction
FLOW = 0.5  # seconds since the last transaction: until then jobs are said to keep coming


class Gathering:
    """Of one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken = 0.0
        self._last = clock() - FLOW

    @property
    def seconds(self) -> float:
        """For how long to gather now, from the first job on."""
        return min(max(RATIO * self._taken, LEAST), MOST)

    @property
    def is_flowing(self) -> bool:
        """Whether jobs keep coming."""
        return self._clock() - self._last < FLOW

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Around the transaction that a group ends in."""
        begun = self._clock()
        try:
            yield
        finally:
            self._last = self._clock()
            self._taken = self._last - begun
