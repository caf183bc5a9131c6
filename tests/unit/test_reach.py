"""How many jobs a worker holds, by how fast it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runs.working.reach import IDLE, SPAN, Reach


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def work(reach: Reach, clock: Clock, rate: float, seconds: float) -> None:
    """A second's jobs are written in ten groups."""
    for _ in range(round(seconds * 10)):
        clock.now += 0.1
        reach.done(round(rate / 10))


@pytest.mark.parametrize(
    ("rates", "holds"),
    [
        ([], 32),
        ([100], 32),
        ([120], 32),
        ([140], 256),  # 32 jobs last less than a quarter of a second
        ([1000], 256),
        ([140, 100], 256),  # neither slow nor fast: as it was
        ([140, 70], 256),
        ([140, 50], 32),  # 256 jobs would last five seconds
        ([140, 50, 100], 32),
        ([140, 0], 32),
    ],
)
def test_a_fast_worker_holds_many_and_a_slow_one_few(rates: list[int], holds: int) -> None:
    clock = Clock()
    reach = Reach(4, 256, clock)
    for rate in rates:
        work(reach, clock, rate, 2.0)
    assert reach.holds == holds


def test_after_a_pause_it_is_not_known_how_long_the_next_jobs_take() -> None:
    clock = Clock()
    reach = Reach(4, 256, clock)
    work(reach, clock, 500, 2.0)
    clock.now += IDLE
    assert reach.holds == 32


@pytest.mark.parametrize(
    ("hands", "most", "holds", "capacity", "low", "group"),
    [
        (1, 1, 1, 1, 0, 1),  # one after the other: none is waited for
        (4, 1, 4, 4, 3, 2),
        (4, 32, 32, 32, 8, 16),
        (4, 256, 32, 32, 8, 16),
        (16, 256, 128, 128, 32, 64),
        (64, 256, 256, 256, 64, 128),
    ],
)
def test_what_follows_for_claims_and_groups(
    hands: int, most: int, holds: int, capacity: int, low: int, group: int
) -> None:
    reach = Reach(hands, most, Clock())
    assert (reach.holds, reach.capacity, reach.low, reach.group) == (holds, capacity, low, group)


@given(hands=st.integers(1, 256), most=st.integers(1, 5000), rates=st.lists(st.integers(0, 3000), max_size=5))
def test_hands_are_never_left_without_jobs_that_may_be_had(hands: int, most: int, rates: list[int]) -> None:
    clock = Clock()
    reach = Reach(hands, most, clock)
    for rate in rates:
        work(reach, clock, rate, SPAN)
    assert hands <= reach.holds <= max(hands, most)
    assert 0 <= reach.low < reach.capacity <= reach.holds
    assert 1 <= reach.group <= reach.holds
