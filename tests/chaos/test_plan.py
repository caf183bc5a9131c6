"""Plans: drawn from a seed alone, each with every kind of fault, at points that the run must come to."""

from __future__ import annotations

import json
import threading

import pytest

from tests.chaos.pace import Pace
from tests.chaos.plan import Plan, draw_plan

ALWAYS = {
    "broker_killed",
    "broker_restarted",
    "archive_away",
    "worker_frozen",
    "producer_killed",
    "producer_killed_while_waiting",
    "junk",
}


@pytest.fixture(params=range(50))
def plan(request: pytest.FixtureRequest) -> Plan:
    return draw_plan(request.param, 1500)


def test_every_plan_has_every_kind_of_fault(plan: Plan) -> None:
    kinds = {fault.kind for fault in plan.faults}
    assert kinds >= ALWAYS
    assert kinds & {"database_killed", "database_restarted"}
    assert plan.kill_every == 1.0
    assert len({*plan.poisoned, *plan.flaky, *plan.killers}) == len(plan.poisoned + plan.flaky + plan.killers)
    assert plan.dead and plan.flaky


def test_faults_come_in_order_and_before_the_last_orders(plan: Plan) -> None:
    points = [fault.after for fault in plan.faults]
    assert points == sorted(points)
    assert points[0] > 0 and points[-1] <= 0.9 * plan.orders


def test_a_seed_is_a_plan_and_a_plan_is_json() -> None:
    assert draw_plan(7, 1500) == draw_plan(7, 1500) != draw_plan(8, 1500)
    assert json.loads(draw_plan(7, 1500).as_json())["seed"] == 7


def test_a_longer_run_meets_more_faults() -> None:
    assert len(draw_plan(1, 10_000).faults) > len(draw_plan(1, 1500).faults)


def message(number: int) -> bytes:
    return f"\x0bMSH|^~\\&|A|B|C|D|20260101||ORM^O01|K{number:03d}|T|2.5\rPID|1\r\x1c\r".encode()


def test_the_pace_lets_so_many_orders_pass_and_any_of_them_again() -> None:
    pace = Pace(2)
    for number in (1, 2, 1, 2, 2):
        pace.admit(message(number))
    held = threading.Thread(target=pace.admit, args=(message(3),), daemon=True)
    held.start()
    held.join(0.2)
    assert held.is_alive()
    pace.allow(1)  # less than it was: nothing changes
    pace.allow(3)
    held.join(30)
    assert not held.is_alive()
    pace.open()
    pace.admit(message(4) + message(5))
