"""How many jobs a worker holds, by how fast it is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runs.working.reach import IDLE, Reach


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("jobs", "holds"),
    [
        ([], 32),
        ([0.04], 32),
        ([0.032], 32),
        ([0.031], 256),  # 32 jobs last less than a quarter of a second
        ([0.001], 256),
        ([0.1] * 4 + [0.002] * 12, 256),  # the first ones opened associations
        ([0.001] * 60 + [5.0] * 4, 32),  # few are slow, but they last
        ([0.001] + [0.04] * 64, 256),  # neither slow nor fast: as it was
        ([0.001] + [0.06] * 64, 256),
        ([0.001] + [0.08] * 64, 32),  # 256 jobs would last five seconds
        ([0.001] + [0.08] * 64 + [0.04] * 64, 32),
        ([0.001] + [0.08] * 64 + [0.001] * 64, 256),
    ],
)
def test_a_fast_worker_holds_many_and_a_slow_one_few(jobs: list[float], holds: int) -> None:
    reach = Reach(4, 256, Clock())
    for seconds in jobs:
        reach.done([seconds])
    assert reach.holds == holds


def test_jobs_of_two_kinds_do_not_have_it_change_its_mind_with_each() -> None:
    reach, held = Reach(4, 256, Clock()), []
    for seconds in [0.002] * 32 + [0.002, 0.09] * 100:
        reach.done([seconds])
        held.append(reach.holds)
    assert sum(before != after for before, after in pairwise(held)) <= 1


def test_after_a_pause_it_is_not_known_how_long_the_next_jobs_take() -> None:
    clock = Clock()
    reach = Reach(4, 256, clock)
    reach.done([0.001])
    clock.now += IDLE / 2
    assert reach.holds == 256
    clock.now += IDLE / 2
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


@given(hands=st.integers(1, 256), most=st.integers(1, 5000), seconds=st.lists(st.floats(0, 1000), max_size=5))
def test_hands_are_never_left_without_jobs_that_may_be_had(hands: int, most: int, seconds: list[float]) -> None:
    reach = Reach(hands, most, Clock())
    for each in seconds:
        reach.done([each])
    assert hands <= reach.holds <= max(hands, most)
    assert 0 <= reach.low < reach.capacity <= reach.holds
    assert 1 <= reach.group <= reach.holds
