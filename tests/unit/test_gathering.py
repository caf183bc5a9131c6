"""How long a worker gathers jobs before it writes them."""

from __future__ import annotations

import pytest

from app.runs.working.gathering import FLOW, LEAST, MOST, RATIO, Gathering


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("transaction", "gathered"),
    [(0.0, LEAST), (LEAST / RATIO / 2, LEAST), (0.02, 0.06), (0.05, 0.15), (MOST / RATIO, MOST), (9.0, MOST)],
)
def test_transactions_take_a_quarter_of_the_time_within_bounds(transaction: float, gathered: float) -> None:
    clock = Clock()
    gathering = Gathering(clock)
    assert gathering.seconds == LEAST
    with gathering.transaction():
        clock.now += transaction
    assert gathering.seconds == pytest.approx(gathered)


def test_jobs_keep_coming_until_none_has_come_for_a_while() -> None:
    clock = Clock()
    gathering = Gathering(clock)
    assert not gathering.is_flowing  # the first job of all is not made to wait
    with gathering.transaction():
        clock.now += 3.0
    assert gathering.is_flowing
    clock.now += FLOW
    assert not gathering.is_flowing


def test_a_transaction_that_fails_counts_too() -> None:
    clock = Clock()
    gathering = Gathering(clock)
    with pytest.raises(ValueError, match="away"), gathering.transaction():
        clock.now += 0.05
        raise ValueError("away")
    assert gathering.seconds == pytest.approx(0.15)
