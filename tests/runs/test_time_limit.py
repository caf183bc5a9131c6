"""A run's own time limit: it ends as FAILED, with the reason, wherever it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from app.domain.run import RunState
from app.ports import OrderOutcome, OutboundOrder
from app.runs.control import request_cancel, request_pause
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.fakes import ACCEPTED, UNREACHABLE
from tests.runs.faults import MortalDatabase, Producing, take_over
from tests.runs.test_cancel import adds_up
from tests.runs.test_takeover import SHORT_LEASE, next_life
from tests.services.processes import wait_until

REASON = "not done within 0.5 s, its time limit"


def test_of_a_run_that_sends_orders(world: World) -> None:
    run = world.start(orders=1000, steps=STEPS[:1], arrival={"model": "constant", "rate": 20}, time_limit=0.5)
    ended = Producing(world, run).wait()
    assert (ended.state, ended.reason) == (RunState.FAILED, REASON)
    counts = adds_up(ended)
    assert counts["completed"] >= 1 and counts["not_emitted"] >= 1


def test_of_a_run_that_waits_for_workers(world: World) -> None:
    ended = Producing(world, world.start(orders=5, time_limit=0.5)).wait()
    assert (ended.state, ended.reason) == (RunState.FAILED, REASON)
    assert adds_up(ended)["cancelled"] == 5


def test_of_a_run_whose_receiver_is_away(world: World) -> None:
    def answer(order: OutboundOrder) -> OrderOutcome:
        return ACCEPTED if order.number < 2 else UNREACHABLE

    world.sender.answer = answer
    ended = Producing(world, world.start(orders=5, steps=STEPS[:1], time_limit=0.5)).wait()
    assert (ended.state, ended.reason) == (RunState.FAILED, REASON)
    assert adds_up(ended)["not_emitted"] >= 3  # on a busy machine the other two are not sent in time either


@pytest.mark.parametrize("orders", [5, 1000])
def test_of_a_paused_run(world: World, orders: int) -> None:
    run = world.start(orders=orders, arrival={"model": "constant", "rate": 50}, time_limit=2.0)
    producing = Producing(world, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready >= 5, 60, "some jobs")
    request_pause(world.database, run.id)
    ended = producing.wait()
    assert (ended.state, ended.reason) == (RunState.FAILED, "not done within 2 s, its time limit")
    adds_up(ended)


def test_it_counts_from_the_runs_beginning_whoever_runs_it(world: World) -> None:
    run = world.start(orders=5, time_limit=30.0)
    mortal = MortalDatabase(world.database)
    first = Producing(replace(world, database=cast(Any, mortal), lease_seconds=SHORT_LEASE), run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 5, 60, "the jobs")
    mortal.kill()
    first.join()
    # 40 s ago by the rows, which is all that the next producer has to go by.
    with world.database._engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE simulation_run_events SET at = strftime('%Y-%m-%d %H:%M:%f', at, '-40 seconds') || '000'"
        )
    ended = take_over(next_life(world), run).wait()
    assert (ended.state, ended.reason) == (RunState.FAILED, "not done within 30 s, its time limit")
    assert adds_up(ended)["cancelled"] == 5


def test_a_run_that_was_cancelled_before_is_cancelled(world: World) -> None:
    run = world.start(orders=200, arrival={"model": "constant", "rate": 20}, time_limit=600.0)
    producing = Producing(world, run)
    wait_until(lambda: len(world.sender.sent) >= 1, 60, "an order")
    request_cancel(world.database, run.id)
    ended = producing.wait()
    assert (ended.state, ended.reason) == (RunState.CANCELLED, "cancelled on request")


def test_a_run_that_is_quick_enough_has_nothing_to_fear(world: World) -> None:
    assert world.run_to_end(world.start(time_limit=600.0)).state is RunState.COMPLETED
