"""Due times: they follow from arrival, seed and base time, never go back, and have the rates that were asked for."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from math import sqrt
from statistics import fmean, pvariance
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.arrival import Arrival
from app.domain.schedule import Schedule, due_before, schedule_of

MORNING = datetime(2026, 1, 5, 8, 30)  # noqa: DTZ001 - local time of the simulated department
HOUR = 3600.0

rates = st.floats(0.01, 10_000)
spans = st.floats(0.5, 100_000)
arrivals = st.one_of(
    st.builds(Arrival, model=st.just("closed")),
    st.builds(Arrival, model=st.just("constant"), rate=rates),
    st.builds(Arrival, model=st.just("ramp"), rate=rates, to=rates, over=spans),
    st.builds(Arrival, model=st.just("burst"), size=st.integers(1, 500), every=spans),
    st.builds(Arrival, model=st.just("poisson"), rate=rates),
    st.builds(
        Arrival,
        model=st.just("profile"),
        hourly=st.lists(st.floats(0.1, 1e6) | st.just(0.0), min_size=24, max_size=24).filter(any),
        speed=st.none() | st.floats(0.1, 3600),
    ),
)


def schedule(seed: int = 1, base_time: datetime = MORNING, **arrival: Any) -> Schedule:
    return schedule_of(Arrival(**arrival), seed, base_time)


def due(schedule: Schedule, *numbers: int) -> list[float]:
    return [schedule.due(number) for number in numbers]


@given(arrivals, st.integers(0, 2**31), st.integers(0, 2000))
def test_due_times_never_go_back_and_are_the_same_for_whoever_computes_them(
    arrival: Arrival, seed: int, first: int
) -> None:
    times = due(schedule_of(arrival, seed, MORNING), *range(first, first + 300))
    assert times[0] >= 0
    assert times == sorted(times)
    assert due(schedule_of(arrival, seed, MORNING), *reversed(range(first, first + 300))) == times[::-1]


@given(arrivals, st.floats(0, 1e5), st.integers(0, 3000))
def test_the_orders_due_before_a_moment_are_counted_exactly(arrival: Arrival, seconds: float, most: int) -> None:
    model = schedule_of(arrival, 1, MORNING)
    count = due_before(model, seconds, most)
    assert count == sum(time < seconds for time in due(model, *range(most)))


@given(rates, st.integers(1, 1000))
def test_a_constant_rate_has_so_many_orders_each_second(rate: float, seconds: int) -> None:
    assert due_before(schedule(model="constant", rate=rate), seconds, 10**8) == pytest.approx(rate * seconds, abs=1)


@given(rates, rates, spans)
def test_a_ramp_has_the_mean_rate_while_it_lasts_and_its_last_one_from_then_on(
    rate: float, to: float, over: float
) -> None:
    ramp = schedule(model="ramp", rate=rate, to=to, over=over)
    of_ramp = due_before(ramp, over, 10**10)
    assert of_ramp == pytest.approx((rate + to) / 2 * over, rel=1e-6, abs=1)
    assert due_before(ramp, over / 2, 10**10) == pytest.approx((3 * rate + to) / 8 * over, rel=1e-6, abs=1)
    assert ramp.due(of_ramp + 1000) - ramp.due(of_ramp + 1) == pytest.approx(999 / to, rel=1e-6)


def test_bursts_come_at_once_and_again_after_a_while() -> None:
    bursts = schedule(model="burst", size=3, every="1m")
    assert due(bursts, 0, 2, 3, 5, 6) == [0, 0, 60, 60, 120]
    assert due_before(bursts, 600, 10**6) == 30


def test_gaps_of_poisson_arrivals_have_the_mean_and_the_variance_of_an_exponential() -> None:
    times = due(schedule(model="poisson", rate=50), *range(20_000))
    gaps = [later - earlier for earlier, later in zip([0.0, *times], times, strict=False)]
    assert fmean(gaps) == pytest.approx(1 / 50, rel=0.03)
    assert sqrt(pvariance(gaps)) == pytest.approx(1 / 50, rel=0.05)


def test_counts_of_poisson_arrivals_have_a_variance_like_their_mean() -> None:
    poisson = schedule(model="poisson", rate=20)
    until = [due_before(poisson, second, 10**6) for second in range(1001)]
    counts = [later - earlier for earlier, later in pairwise(until)]
    assert fmean(counts) == pytest.approx(20, rel=0.05)
    assert pvariance(counts) == pytest.approx(20, rel=0.25)


def test_the_seed_decides_poisson_arrivals() -> None:
    assert due(schedule(1, model="poisson", rate=1), 0, 9) != due(schedule(2, model="poisson", rate=1), 0, 9)


def test_a_profile_begins_with_the_hour_of_the_base_time_and_goes_round() -> None:
    hourly = [0.0] * 24
    hourly[8], hourly[10], hourly[7] = 4, 2, 1
    profile = schedule(model="profile", hourly=hourly)
    hours = [time / HOUR for time in due(profile, *range(8))]
    assert hours == [0, 0.25, 0.5, 0.75, 2, 2.5, 23, 24]


@given(st.lists(st.integers(0, 500), min_size=24, max_size=24).filter(any), st.integers(0, 23))
def test_each_hour_of_a_profile_has_its_orders(hourly: list[int], hour: int) -> None:
    profile = schedule(1, MORNING.replace(hour=hour), model="profile", hourly=hourly, speed=60)
    until = [due_before(profile, minute * 60 - 1e-6, 10**6) for minute in range(1, 25)]
    counts = [later - earlier for earlier, later in zip([0, *until], until, strict=False)]
    assert counts == hourly[hour:] + hourly[:hour]


def test_a_million_orders_are_cheap_to_schedule() -> None:
    poisson = schedule(model="poisson", rate=1000)
    assert poisson.due(1_000_000) == pytest.approx(1000, rel=0.01)
    assert due_before(schedule(model="profile", hourly=[10_000] * 24), 100 * HOUR, 10**7) == 1_000_000
