"""Latency distributions: what they tell, and that merging them is as good as having recorded it all in one."""

from __future__ import annotations

from itertools import chain

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given, settings
from hypothesis import strategies as st

from app.util.latency import Latency, SmallLatency

SECONDS = st.floats(min_value=1e-6, max_value=3599)
PERCENTILES = ("p50", "p95", "p99")
SHARES = [5.0 * step for step in range(1, 20)] + [99.9, 100.0]


def recorded(kind: type[Latency] | type[SmallLatency], values: list[float]) -> Latency | SmallLatency:
    latency = kind()
    for value in values:
        latency.record(value)
    return latency


def exact(values: list[float], percentile: str) -> float:
    """The value that so many percent are no longer than, to the nearest observation, as HdrHistogram has it."""
    return sorted(values)[max((len(values) * int(percentile[1:]) + 50) // 100, 1) - 1]


@pytest.mark.parametrize("kind", [Latency, SmallLatency])
@settings(max_examples=40)  # an HDR histogram is big
@given(values=st.lists(SECONDS, min_size=1, max_size=200))
def test_percentiles_are_those_of_the_values_to_three_digits(
    kind: type[Latency] | type[SmallLatency], values: list[float]
) -> None:
    summary = recorded(kind, values).summary()
    for percentile in PERCENTILES:
        assert summary[percentile] == pytest.approx(exact(values, percentile), rel=0.011, abs=1e-6)
    assert summary["max"] == pytest.approx(max(values), rel=0.011, abs=1e-6)


@settings(max_examples=40)  # an HDR histogram is big
@given(st.lists(st.one_of(SECONDS, st.floats(min_value=-1, max_value=10_000)), min_size=1, max_size=200))
def test_an_hdr_histogram_would_say_the_same(values: list[float]) -> None:
    latency, histogram = recorded(Latency, values), HdrHistogram(1, 3_600_000_000, 3)
    for value in values:
        histogram.record_value(min(max(round(value * 1e6), 1), 3_600_000_000))
    assert isinstance(latency, Latency)
    summary = latency.summary()
    assert summary.pop("mean") == pytest.approx(sum(values) / len(values), abs=1e-6)
    at = {f"p{percentile}": histogram.get_value_at_percentile(percentile) for percentile in (50, 90, 95, 99)}
    at |= {"min": histogram.get_min_value(), "max": histogram.get_max_value()}
    assert summary == {name: round(value / 1e6, 6) for name, value in at.items()}
    assert latency.shares(20) == [(each, histogram.get_value_at_percentile(each) / 1e6) for each in SHARES]
    assert latency.encode() == histogram.encode().decode()


@settings(max_examples=20)
@given(st.lists(st.lists(SECONDS, min_size=1, max_size=30), min_size=1, max_size=5))
def test_merged_is_as_good_as_recorded_in_one(groups: list[list[float]]) -> None:
    values = list(chain.from_iterable(groups))
    merged, together = Latency(), recorded(Latency, values)
    small, small_together = SmallLatency(), recorded(SmallLatency, values)
    for group in groups:
        merged.merge(recorded(Latency, group).encode())  # type: ignore[union-attr]
        small.merge(recorded(SmallLatency, group))  # type: ignore[arg-type]
        small.pack()
    expected = together.summary()
    assert merged.summary() | {"mean": 0} == expected | {"mean": 0}
    assert merged.summary()["mean"] == pytest.approx(expected["mean"], rel=0.011, abs=1e-6)
    assert small.summary() == small_together.summary()


def test_what_is_written_down_is_read_back() -> None:
    latency = recorded(Latency, [0.001, 0.002, 0.5])
    again = Latency.decode(latency.encode())  # type: ignore[union-attr]
    assert (again.count, again.summary()["p50"], again.summary()["max"]) == (3, 0.002, pytest.approx(0.5, rel=0.001))


@pytest.mark.parametrize("text", ["", "nothing", "SElTVA=="])
def test_what_is_no_histogram_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an encoded histogram"):
        Latency.decode(text)


def test_nothing_recorded_is_nothing_told() -> None:
    assert Latency().summary() == SmallLatency().summary() == {}
    assert Latency.decode(Latency().encode()).count == 0
