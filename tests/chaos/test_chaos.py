"""Runs under faults, and the invariants afterwards. See the package's text for how to replay one."""

from __future__ import annotations

import pytest

from tests.chaos.chaos import LIMIT
from tests.chaos.conftest import CarryOut
from tests.chaos.plan import KILL_EVERY, ORDERS, SEEDS, calm_plan, draw_plan
from tests.qualify.amounts import amount

CALM_ORDERS = amount("CALM_ORDERS", 200)

pytestmark = pytest.mark.timeout(LIMIT + 300)


def test_without_faults_everything_agrees(carry_out: CarryOut) -> None:
    chaos = carry_out(calm_plan(CALM_ORDERS))
    assert chaos.figures["extra_stores"] == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_under_faults_nothing_is_lost_doubled_or_invented(carry_out: CarryOut, seed: int) -> None:
    carry_out(draw_plan(seed, ORDERS, KILL_EVERY))
