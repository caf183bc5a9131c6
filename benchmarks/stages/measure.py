"""How often something can be done a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def rate(work: Callable[[], int], seconds: float, clock: Callable[[], float] = time.perf_counter) -> float:
    """How much is done a second by repeating ``work``, which says how much it did, until the time is over."""
    done = 0
    begun = clock()
    while (spent := clock() - begun) < seconds or not done:
        done += work()
    return done / spent


def cpu_rate(work: Callable[[Any], object], things: list[Any], seconds: float) -> float:
    """How many things are worked on in a second of this process' CPU time, one after the other, over and over."""

    def all_of_them() -> int:
        for thing in things:
            work(thing)
        return len(things)

    return rate(all_of_them, seconds, time.process_time)
