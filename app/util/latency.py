"""Latency distributions: HDR histograms of microseconds, mergeable, three significant digits from 1 µs to 1 h."""

from __future__ import annotations

from hdrh.histogram import HdrHistogram

_LOWEST, _HIGHEST, _DIGITS = 1, 3_600_000_000, 3


class Latency:
    """Records seconds, tells minimum, mean and percentiles in seconds."""

    def __init__(self) -> None:
        self._histogram = HdrHistogram(_LOWEST, _HIGHEST, _DIGITS)
        self._total = 0.0

    def record(self, seconds: float) -> None:
        """Values below 1 µs count as 1 µs, above 1 h as 1 h."""
        self._total += seconds
        self._histogram.record_value(min(max(round(seconds * 1e6), _LOWEST), _HIGHEST))

    @property
    def count(self) -> int:
        return int(self._histogram.get_total_count())

    def summary(self) -> dict[str, float]:
        """min, mean, p50, p95, p99, max; empty when nothing was recorded."""
        if not self.count:
            return {}
        histogram = self._histogram
        figures = {
            "min": histogram.get_min_value(),
            "mean": self._total / self.count * 1e6,
            "p50": histogram.get_value_at_percentile(50),
            "p95": histogram.get_value_at_percentile(95),
            "p99": histogram.get_value_at_percentile(99),
            "max": histogram.get_max_value(),
        }
        return {name: round(value / 1e6, 6) for name, value in figures.items()}
