"""Pacing: when each order is due, from the beginning and from where a run goes on."""

from __future__ import annotations

import pytest

from app.domain.pacing import Pacing
from app.domain.schedule import AtOnce, Steady

CONSTANT = Steady(4)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_order_is_due_at_once_and_the_others_at_their_distance() -> None:
    pacing = Pacing(CONSTANT, Clock())
    assert [pacing.due_in(number) for number in (0, 1, 4)] == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("number", [0, 7, 100_000])
def test_a_run_that_is_taken_over_goes_on_with_the_first_order_that_is_left(number: int) -> None:
    pacing = Pacing(CONSTANT, Clock(), elapsed=CONSTANT.due(number))
    assert pacing.due_in(number) == 0.0
    assert pacing.due_in(number + 2) == 0.5
    assert pacing.due_at(number - 2) == 100.0  # begun by another producer: due when this one came


def test_what_was_due_during_a_pause_does_not_come_in_one_burst() -> None:
    clock = Clock()
    pacing = Pacing(CONSTANT, clock)
    clock.now += 0.75
    pacing.hold()
    clock.now += 30.0
    pacing.hold()  # it is held already
    assert pacing.offered(10) == 3
    clock.now += 30.0
    pacing.go_on()
    assert [pacing.due_in(number) for number in (3, 4, 7)] == [0.0, 0.25, 1.0]


def test_what_was_late_before_a_pause_is_as_late_behind_it() -> None:
    clock = Clock()
    pacing = Pacing(CONSTANT, clock)
    clock.now += 2.0
    pacing.hold()
    clock.now += 60.0
    pacing.go_on()
    assert pacing.due_in(4) == -1.0


def test_a_closed_model_has_everything_due() -> None:
    assert Pacing(AtOnce(), Clock()).due_in(5000) <= 0.0


def test_a_duration_ends_without_the_time_of_pauses_and_with_that_of_earlier_producers() -> None:
    clock = Clock()
    pacing = Pacing(AtOnce(), clock, elapsed=6.0, ends_after=10.0)
    clock.now += 3.0
    pacing.hold()
    clock.now += 100.0
    pacing.go_on()
    assert not pacing.is_over
    clock.now += 1.0
    assert pacing.is_over


def test_how_many_orders_are_due_by_now() -> None:
    clock = Clock()
    pacing = Pacing(CONSTANT, clock, elapsed=10.0)
    clock.now += 1.1
    assert pacing.offered(1000) == 45
    assert pacing.offered(30) == 30
