"""How many jobs a worker holds: few that take long, many that do not.

What it holds no other worker can have, so it is to be worked off soon; but each job is on its way between queue, claim,
hand and finish for a moment, and a worker that holds less than it does in that moment waits for its own messages.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from statistics import fmean

AHEAD = 8  # jobs for each hand, at least
WIDE_BELOW = 0.25  # seconds that so many last: a worker that is faster holds all that it may
NARROW_ABOVE = 4.0  # seconds that all that it may hold lasts: one that is slower holds few again
LATEST = 64  # jobs that its speed is known by: the first ones have opened associations
IDLE = 2.0  # seconds without a job, after which it is not known how fast the next ones will be


class Reach:
    """Two reaches, and which of them it is to be; ``most`` messages are never exceeded, but by one for each hand."""

    def __init__(self, hands: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = max(most, hands)  # fewer would leave hands idle
        self.least = min(self.most, AHEAD * hands)
        self._was_fast = False
        self._latest: deque[float] = deque(maxlen=LATEST)  # seconds that jobs took
        self._hands = hands
        self._clock = clock
        self._since = clock()

    @property
    def is_wide(self) -> bool:
        """Whether the worker's jobs take so little that it may hold many."""
        return self._was_fast and self._clock() - self._since < IDLE

    @property
    def holds(self) -> int:
        """Messages that are not acknowledged, at most."""
        return self.most if self.is_wide else self.least

    @property
    def capacity(self) -> int:
        """Of them, those that may be claimed at once, and not yet run."""
        return max(self.least, self.holds // 2)

    @property
    def low(self) -> int:
        """Claimed jobs that are left to be run when more are claimed: with none left, hands would wait for a claim."""
        return min(max(self._hands, self.capacity // 4), self.capacity - 1)

    @property
    def group(self) -> int:
        """Done jobs that are written together, at most; more would keep the broker from bringing others."""
        return max(self.holds // 2, 1)

    def done(self, seconds: Iterable[float]) -> None:
        """So long has each of the jobs taken that have been written now."""
        self._latest.extend(seconds)
        each = fmean(self._latest) / self._hands
        if each * self.least <= WIDE_BELOW:
            self._was_fast = True
        elif each * self.most > NARROW_ABOVE:
            self._was_fast = False
        self._since = self._clock()
