"""The times of one emission: how late each order was handed to the sender, and what the emission as a whole took."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any

from app.domain.pacing import Pacing
from app.domain.records import record

_CLOSE = 0.05  # seconds


@record(frozen=True, slots=True)
class Timing:
    """An order until it was handed to the sender, in seconds."""

    begin_seconds: float = 0.0  # since its row was first written
    slip_seconds: float | None = None  # since it was due; None for a closed model, which has no due times
    blocked_seconds: float = 0.0  # of its slip, with the window full or the receiver away


class BlockedTime:
    """Spans of time, one behind the other: how much of them lies behind any moment.

    Spans that lie close together are kept as one, with the sum of their seconds, so that a long run needs little room.
    """

    def __init__(self) -> None:
        self._starts = array("d")
        self._ends = array("d")
        self._sums = array("d", [0.0])  # seconds of all spans before each one, and of all

    @property
    def total(self) -> float:
        return self._sums[-1]

    def add(self, start: float, end: float) -> None:
        if self._ends and start - self._ends[-1] < _CLOSE:
            self._ends[-1] = end
            self._sums[-1] += end - start
        else:
            self._starts.append(start)
            self._ends.append(end)
            self._sums.append(self._sums[-1] + end - start)

    def move(self, seconds: float) -> None:
        """All of them are so much later, as due times are after a pause."""
        self._starts = array("d", (start + seconds for start in self._starts))
        self._ends = array("d", (end + seconds for end in self._ends))

    def since(self, moment: float) -> float:
        """Seconds of the spans behind this moment; of one that it lies in, the share that is behind it."""
        index = bisect_right(self._ends, moment)
        seconds = self._sums[-1] - self._sums[index]
        if index < len(self._ends) and moment > self._starts[index]:
            start, end = self._starts[index], self._ends[index]
            seconds -= (self._sums[index + 1] - self._sums[index]) * (moment - start) / (end - start)
        return seconds


class Timekeeper:
    """Keeps the times of the orders that are under way, and of the emission; a pause counts for neither."""

    def __init__(
        self,
        pacing: Pacing,
        is_open: bool,
        clock: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        """``clock`` is the one that the pacing has; ``cpu`` gives the processor time of this process, in seconds."""
        self.pacing = pacing
        self.clock = clock
        self.is_open = is_open
        self._cpu = cpu
        self._begun: dict[int, float] = {}
        self._timings: dict[int, Timing] = {}
        self._blocked = BlockedTime()
        self._wall_start, self._cpu_start = clock(), cpu()
        self._held_since: tuple[float, float] | None = None

    # --- of an order ---

    def begin(self, numbers: Sequence[int]) -> None:
        """The rows of these are about to be written, unless they are there already."""
        now = self.clock()
        for number in numbers:
            self._begun.setdefault(number, now)

    def hand_over(self, number: int) -> None:
        """It is handed to the sender now; what was noted of an earlier time is forgotten."""
        now = self.clock()
        since_begun = now - self._begun[number]
        if self.is_open:
            due = self.pacing.due_at(number)
            self._timings[number] = Timing(since_begun, max(now - due, 0.0), self._blocked.since(due))
        else:
            self._timings[number] = Timing(since_begun)

    def forget(self, numbers: Sequence[int]) -> None:
        """The rows of these are gone."""
        for number in numbers:
            self.take(number)

    def take(self, number: int) -> Timing:
        """The timing of an order that has its outcome."""
        self._begun.pop(number, None)
        return self._timings.pop(number, Timing())

    # --- of the emission ---

    def blocked(self, since: float) -> None:
        """From then until now an order was due that could not be begun for want of acknowledgements."""
        self._blocked.add(since, self.clock())

    def hold(self) -> None:
        """The run is paused."""
        if self._held_since is None:
            self._held_since = self.clock(), self._cpu()
            self.pacing.hold()

    def go_on(self) -> None:
        """The run is not paused any more."""
        if self._held_since is not None:
            wall, cpu = self._held_since
            pause = self.clock() - wall
            self._wall_start += pause
            self._blocked.move(pause)
            self._cpu_start += self._cpu() - cpu
            self._held_since = None
            self.pacing.go_on()

    def load(self, requested: int) -> dict[str, Any]:
        """What a ``run.load`` event says of the emission, now that it is over."""
        wall, cpu = self._held_since or (self.clock(), self._cpu())
        return {
            "emission_seconds": round(wall - self._wall_start, 6),
            "cpu_seconds": round(cpu - self._cpu_start, 6),
            "blocked_seconds": round(self._blocked.total, 6),
            "offered": self.pacing.offered(requested) if self.is_open else None,
            "is_over": self.pacing.is_over,
        }
