"""Latency distributions in microseconds, from 1 µs to 1 h, that are merged and never averaged."""

from __future__ import annotations

from collections import Counter

from hdrh.histogram import HdrHistogram

_LOWEST, _HIGHEST, _DIGITS = 1, 3_600_000_000, 3
_PERCENTILES = (50, 90, 95, 99)


class Latency:
    """An HDR histogram: three significant digits. Records seconds, tells minimum, mean and percentiles in seconds."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(_LOWEST, _HIGHEST, _DIGITS)
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
        return str(self._histogram.encode().decode())

    def merge(self, text: str) -> None:
        """Take the observations of an encoded one in. Raises ValueError when it is none."""
        try:
            other = HdrHistogram.decode(text)
        except Exception as error:  # it raises a dozen kinds, of its own and of its parts
            raise ValueError(f"not an encoded histogram: {error!r}") from error
        if other.get_total_count():
            self._total += other.get_mean_value() * other.get_total_count() / 1e6
            self._histogram.add(other)

    def record(self, seconds: float) -> None:
        """Values below 1 µs count as 1 µs, above 1 h as 1 h."""
        self._total += seconds
        self._histogram.record_value(min(max(round(seconds * 1e6), _LOWEST), _HIGHEST))

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def summary(self) -> dict[str, float]:
        """min, mean, p50, p90, p95, p99, max; empty when nothing was recorded."""
        if not self.count:
            return {}
        histogram = self._histogram
        at = histogram.get_percentile_to_value_dict(_PERCENTILES)  # all in one walk, which is dear
        figures = {
            "min": histogram.get_min_value(),
            "mean": self._total / self.count * 1e6,
            **{f"p{percentile}": at[percentile] for percentile in _PERCENTILES},
            "max": histogram.get_max_value(),
        }
        return {name: round(value / 1e6, 6) for name, value in figures.items()}

    def shares(self, steps: int) -> list[tuple[float, float]]:
        """The distribution as (percentile, seconds) at so many steps, and at its end; for drawing."""
        percentiles = [100 * step / steps for step in range(1, steps)] + [99.9, 100.0]
        return [(each, self._histogram.get_value_at_percentile(each) / 1e6) for each in percentiles]


class SmallLatency:
    """As many of these as there are seconds in a run: takes the memory of what was recorded, to three digits."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()  # by microseconds

    def record(self, seconds: float) -> None:
        microseconds = max(round(seconds * 1e6), _LOWEST)
        if microseconds > 1000:
            unit = 10 ** (len(str(microseconds)) - _DIGITS)
            microseconds = microseconds // unit * unit
        self._counts[microseconds] += 1

    def merge(self, other: SmallLatency) -> None:
        self._counts.update(other._counts)

    def summary(self) -> dict[str, float]:
        """count, p50, p95, p99 and max, in seconds; percentiles are of the nearest rank, as in an HDR histogram."""
        count = self._counts.total()
        if not count:
            return {}
        wanted = [(f"p{percent}", (count * percent + 50) // 100) for percent in (50, 95, 99)] + [("max", count)]
        figures: dict[str, float] = {"count": count}
        passed = 0
        for microseconds in sorted(self._counts):
            passed += self._counts[microseconds]
            while wanted and passed >= wanted[0][1]:
                figures[wanted.pop(0)[0]] = microseconds / 1e6
        return figures
