"""Due times of an arrival model: for each order the seconds from the beginning of the run's schedule.

They follow from arrival, seed and base time alone, so a producer that takes a run over computes the same ones. Models
but ``poisson`` are closed forms; that one keeps eight bytes an order.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, islice
from math import log1p, sqrt
from random import Random
from typing import Protocol

from app.domain.arrival import HOUR, HOURS, Arrival
from app.domain.draws import Draws


class Schedule(Protocol):
    def due(self, number: int) -> float:
        """Seconds until order ``number`` is due, from 0; never less than for the one before it."""
        ...


def schedule_of(arrival: Arrival, seed: int, base_time: datetime) -> Schedule:
    """The due times of a run; ``base_time`` is the simulated department's, and decides where a profile begins."""
    match arrival:
        case Arrival(model="constant", rate=float(rate)):
            return Steady(rate)
        case Arrival(model="ramp", rate=float(rate), to=float(to), over=float(over)):
            return Ramp(rate, to, over)
        case Arrival(model="burst", size=int(size), every=float(every)):
            return Bursts(size, every)
        case Arrival(model="poisson", rate=float(rate)):
            return Poisson(rate, seed)
        case Arrival(model="profile", hourly=tuple(hourly)):
            return Profile(hourly, base_time.hour, arrival.speed or 1.0)
        case _:
            return AtOnce()


def due_before(schedule: Schedule, seconds: float, most: int) -> int:
    """How many of the first ``most`` orders are due before this moment; only due times near it are computed."""
    end = 1
    while end < most and schedule.due(end - 1) < seconds:
        end *= 2
    return bisect_left(range(min(end, most)), seconds, key=schedule.due)


@dataclass(frozen=True, slots=True)
class AtOnce:
    """Every order is due at the beginning: the closed model sends when it can."""

    def due(self, number: int) -> float:
        return 0.0


@dataclass(frozen=True, slots=True)
class Steady:
    """``rate`` orders a second."""

    rate: float

    def due(self, number: int) -> float:
        return number / self.rate


@dataclass(frozen=True, slots=True)
class Ramp:
    """From ``rate`` to ``to`` orders a second ``over`` seconds, and at ``to`` from then on."""

    rate: float
    to: float
    over: float

    def due(self, number: int) -> float:
        of_ramp = (self.rate + self.to) / 2 * self.over
        if number >= of_ramp:
            return self.over + (number - of_ramp) / self.to
        # The root of number = rate t + slope t^2 / 2, in the form that also holds for a slope of zero.
        slope = (self.to - self.rate) / self.over
        return 2 * number / (self.rate + sqrt(self.rate**2 + 2 * slope * number))


@dataclass(frozen=True, slots=True)
class Bursts:
    """``size`` orders at once, and again ``every`` so many seconds."""

    size: int
    every: float

    def due(self, number: int) -> float:
        return number // self.size * self.every


class Poisson:
    """Independent arrivals, ``rate`` a second on average: the gaps are exponential, drawn from the seed in order."""

    def __init__(self, rate: float, seed: int) -> None:
        self._following = accumulate(_gaps(rate, Draws(seed, "arrival").below(2**64)))
        self._times = array("d")

    def due(self, number: int) -> float:
        self._times.extend(islice(self._following, max(number + 1 - len(self._times), 0)))
        return self._times[number]


def _gaps(rate: float, seed: int) -> Iterator[float]:
    # One long stream, of the one method of Random whose draws no version of Python may change.
    draw = Random(seed).random
    while True:
        yield -log1p(-draw()) / rate


class Profile:
    """``hourly[h]`` orders, evenly, in each hour h of the day, day after day; from the beginning of ``first_hour``.

    ``speed`` times as fast as the clock on the wall.
    """

    def __init__(self, hourly: tuple[float, ...], first_hour: int, speed: float) -> None:
        self._rates = hourly[first_hour:] + hourly[:first_hour]
        self._before = [0.0, *accumulate(self._rates)]  # orders before each hour, and on a whole day
        self._hour = HOUR / speed  # seconds

    def due(self, number: int) -> float:
        day, rest = divmod(number, self._before[-1])
        hour = bisect_right(self._before, rest) - 1
        return (day * HOURS + hour + (rest - self._before[hour]) / self._rates[hour]) * self._hour
