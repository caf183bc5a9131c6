"""The retry policy: how many attempts, and on which rungs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.retry import RUNGS, RetryPolicy, rung
from app.domain.template import Retry


@pytest.mark.parametrize(
    ("policy", "delays"),
    [
        (RetryPolicy(), (1.0, 2.0)),
        (RetryPolicy(max_attempts=1), ()),
        (RetryPolicy(max_attempts=6), (1.0, 2.0, 4.0, 8.0, 30.0)),
        (RetryPolicy(max_attempts=4, first_delay=0.0), (1.0, 1.0, 1.0)),
        (RetryPolicy(max_attempts=4, first_delay=5.0, factor=10.0), (8.0, 120.0, 600.0)),
        (RetryPolicy(max_attempts=4, first_delay=5.0, factor=10.0, cap=60.0), (8.0, 120.0, 120.0)),
        (RetryPolicy(max_attempts=3, first_delay=600.0, factor=10.0), (600.0, 600.0)),
    ],
)
def test_the_waits_between_attempts(policy: RetryPolicy, delays: tuple[float, ...]) -> None:
    assert policy.delays == delays


def test_after_the_last_attempt_there_is_no_delay() -> None:
    policy = RetryPolicy(max_attempts=3)
    assert [policy.delay_after(attempts) for attempts in (1, 2, 3, 4)] == [1.0, 2.0, None, None]


@given(st.floats(min_value=0, max_value=10_000))
def test_a_delay_is_rounded_up_to_a_rung(seconds: float) -> None:
    chosen = rung(seconds)
    assert chosen in RUNGS
    assert chosen >= min(seconds, RUNGS[-1])
    assert not any(seconds <= shorter < chosen for shorter in RUNGS)


def test_a_template_that_says_nothing_has_the_same_policy() -> None:
    assert Retry().policy == RetryPolicy()
