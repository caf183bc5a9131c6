"""Latency distributions in microseconds, from 1 µs to 1 h, that are merged and never averaged."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from hdrh.histogram import HdrHistogram

_LOWEST, _HIGHEST, _DIGITS = 1, 3_600_000_000, 3
_BITS = 11  # of a value, that an HDR histogram of three digits tells apart
_PERCENTILES = (50, 90, 95, 99)
_SMALL_PERCENTILES = (50, 95, 99)
_EXACT = 10**_DIGITS
_POWERS = tuple(10**exponent for exponent in range(_DIGITS + 1, 19))
_UNITS = (10, *(power // 10 ** (_DIGITS - 1) for power in _POWERS))  # to which values below each power are cut off


class Latency:
    """An HDR histogram: three significant digits. Records seconds, tells minimum, mean and percentiles in seconds."""

    def __init__(self) -> None:
        # By the histogram's own numbers of its 25,000 counters. Most of those are 0, and to count in HdrHistogram
        # itself takes three times as long.
        self._counts: Counter[int] = Counter()
        self._total = 0.0

    @classmethod
    def decode(cls, text: str) -> Latency:
        """What :meth:`encode` made of one; its mean is that of the histogram, to three digits.

        Raises:
            ValueError: it is none.
        """
        latency = cls()
        latency.merge(text)
        return latency

    def encode(self) -> str:
        """The histogram as HdrHistogram's V2 compressed form in base64, which its libraries in all languages read."""
        histogram = HdrHistogram(_LOWEST, _HIGHEST, _DIGITS)
        if self._counts:
            for number, count in self._counts.items():
                histogram.counts[number] = count
            histogram.total_count = self.count
            histogram.max_value = _highest_of(max(self._counts))
        return str(histogram.encode().decode())

    def merge(self, text: str) -> None:
        """Take the observations of an encoded one in. Raises ValueError when it is none."""
        try:
            other = HdrHistogram.decode(text)
        except Exception as error:  # it raises a dozen kinds, of its own and of its parts
            raise ValueError(f"not an encoded histogram: {error!r}") from error
        self._total += other.get_mean_value() * other.get_total_count() / 1e6
        for item in other.get_recorded_iterator():
            self._counts[_counter_of(item.value_iterated_to)] += item.count_at_value_iterated_to

    def record(self, seconds: float) -> None:
        """Values below 1 µs count as 1 µs, above 1 h as 1 h."""
        self._total += seconds
        self._counts[_counter_of(round(seconds * 1e6))] += 1

    @property
    def count(self) -> int:
        return self._counts.total()

    def summary(self) -> dict[str, float]:
        """min, mean, p50, p90, p95, p99, max; empty when nothing was recorded."""
        if not self._counts:
            return {}
        figures = {
            "min": _lowest_of(min(self._counts)),
            "mean": self._total / self.count * 1e6,
            **{f"p{percentile}": _highest_of(counter) for percentile, counter in _at(_PERCENTILES, self._counts)},
            "max": _highest_of(max(self._counts)),
        }
        return {name: round(value / 1e6, 6) for name, value in figures.items()}

    def shares(self, steps: int) -> list[tuple[float, float]]:
        """The distribution as (percentile, seconds) at so many steps, and at its end; for drawing."""
        percentiles = [100 * step / steps for step in range(1, steps)] + [99.9, 100.0]
        if not self._counts:
            return [(each, 0.0) for each in percentiles]
        return [(each, _highest_of(counter) / 1e6) for each, counter in _at(percentiles, self._counts)]


class SmallLatency:
    """As many of these as there are intervals in a run: takes the memory of what was recorded, to three digits."""

    __slots__ = ("_counts", "_packed")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()  # by microseconds
        self._packed: tuple[array[int], array[int]] | None = None  # counted before: microseconds, and how many of each

    def record(self, seconds: float) -> None:
        microseconds = round(seconds * 1e6)
        if microseconds > _EXACT:
            microseconds -= microseconds % _UNITS[bisect_right(_POWERS, microseconds)]
        elif microseconds < _LOWEST:
            microseconds = _LOWEST
        self._counts[microseconds] += 1

    def merge(self, other: SmallLatency) -> None:
        self._counts.update(other._all())

    def pack(self) -> None:
        """It is hardly recorded into any more: take a quarter of the memory."""
        counts = self._all()
        self._packed = array("q", counts.keys()), array("I", counts.values())
        self._counts = Counter()

    def summary(self) -> dict[str, float]:
        """count, p50, p95, p99 and max, in seconds; percentiles are of the nearest rank, as in an HDR histogram."""
        counts = self._all()
        if not counts:
            return {}
        return {
            "count": counts.total(),
            **{f"p{percentile}": value / 1e6 for percentile, value in _at(_SMALL_PERCENTILES, counts)},
            "max": max(counts) / 1e6,
        }

    def _all(self) -> Counter[int]:
        if self._packed is None:
            return self._counts
        counts = Counter(dict(zip(*self._packed, strict=True)))
        counts.update(self._counts)
        return counts


def _counter_of(microseconds: int) -> int:
    """The number of the counter in an HDR histogram: the highest bits of the value, below how many others there are."""
    if not _LOWEST <= microseconds <= _HIGHEST:
        microseconds = _LOWEST if microseconds < _LOWEST else _HIGHEST
    others = microseconds.bit_length() - _BITS
    return (others << _BITS - 1) + (microseconds >> others) if others > 0 else microseconds


def _lowest_of(counter: int) -> int:
    """The lowest value in microseconds that this counter counts."""
    others = max((counter >> _BITS - 1) - 1, 0)
    return counter - (others << _BITS - 1) << others


def _highest_of(counter: int) -> int:
    return _lowest_of(counter + 1) - 1


def _at(percentiles: Iterable[float], counts: Mapping[int, int]) -> Iterator[tuple[float, int]]:
    """Each percentile with the key that so many percent of what was counted are no higher than, to the nearest rank."""
    keys = sorted(counts)
    passed = list(accumulate(counts[key] for key in keys))
    for percentile in percentiles:
        rank = max(int(percentile * passed[-1] / 100 + 0.5), 1)  # as HdrHistogram rounds it
        yield percentile, keys[bisect_left(passed, rank)]
