"""Pacing: when each order is due, from the beginning and from where a run goes on."""

from __future__ import annotations

import pytest

from app.domain.pacing import Pacing
from app.domain.template import Arrival

CONSTANT = Arrival(model="constant", rate=4)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_first_order_is_due_at_once_and_the_others_at_their_distance() -> None:
    pacing = Pacing(CONSTANT, Clock())
    assert [pacing.due_in(number) for number in (0, 1, 4)] == [0.0, 0.25, 1.0]


@pytest.mark.parametrize("number", [0, 7, 100_000])
def test_a_run_that_is_taken_over_goes_on_with_the_first_order_that_is_left(number: int) -> None:
    pacing = Pacing(CONSTANT, Clock(), first=number)
    assert pacing.due_in(number) == 0.0
    assert pacing.due_in(number + 2) == 0.5
    assert pacing.due_in(number - 2) <= 0.0  # begun by another producer: due already


def test_what_was_due_during_a_pause_does_not_come_in_one_burst() -> None:
    clock = Clock()
    pacing = Pacing(CONSTANT, clock)
    clock.now += 60.0
    pacing.go_on(3)
    assert [pacing.due_in(number) for number in (3, 4, 7)] == [0.0, 0.25, 1.0]


def test_a_closed_model_has_everything_due() -> None:
    assert Pacing(Arrival(), Clock()).due_in(5000) <= 0.0
