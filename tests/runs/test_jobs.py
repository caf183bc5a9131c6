"""A run's job messages follow from run and order: whoever makes one, and whenever, it says the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.domain.job import decode_job
from app.domain.order import Order
from app.domain.work import OutboxMessage
from app.runs.jobs import KEPT, JobBuilder
from app.runs.start import template_of
from app.runs.traces import RunTrace
from tests.runs.conftest import QUEUE, STEPS, World
from tests.runs.tracing import Recorded


class Planned(JobBuilder):
    """Counts the orders that are planned."""

    planned = 0

    def order(self, number: int) -> Order:
        self.planned += 1
        return super().order(number)


def builder_of(world: World) -> Planned:
    run = world.start(orders=5)
    return Planned(run, template_of(run), QUEUE)


def message(number: int, step_index: int = 1) -> OutboxMessage:
    return OutboxMessage(number, "", number, step_index, 0, 0, QUEUE, datetime.now(UTC))


def test_a_message_of_an_order_that_was_kept_says_what_one_says_that_is_planned_anew(world: World) -> None:
    builder = builder_of(world)
    order = builder.order(3)
    anew = builder.body(message(3))
    builder.keep(order)
    planned = builder.planned
    assert builder.body(message(3)) == anew
    assert builder.planned == planned
    assert builder.body(message(3)) == anew  # kept for one message
    assert builder.planned == planned + 1


def test_what_follows_a_job_says_what_its_worker_would_have_said(world: World) -> None:
    steps: list[dict[str, Any]] = [
        *STEPS[:2],
        {"type": "WAIT", "parameters": {"seconds": 1}},
        STEPS[2] | {"queue": "sending", "retry": {"max_attempts": 7}},
    ]
    run = world.start(orders=5, steps=steps)
    builder = JobBuilder(run, template_of(run), QUEUE, RunTrace(run, Recorded()))
    first = decode_job(builder.body(message(3)))
    assert first.traceparent and len(first.slip) == 3
    for position in range(3):
        assert decode_job(builder.body(message(3, 1 + position))) == first.continued_at(position)


def test_the_orders_that_were_kept_first_stay_and_the_others_are_planned_anew(world: World) -> None:
    builder = builder_of(world)
    order = builder.order(0)
    for number in range(KEPT + 1):
        builder.keep(replace(order, number=number))
    planned = builder.planned
    builder.body(message(0))
    assert builder.planned == planned
    builder.body(message(KEPT))
    assert builder.planned == planned + 1
    builder.keep(replace(order, number=KEPT + 1))  # there is room again
    builder.body(message(KEPT + 1))
    assert builder.planned == planned + 1
