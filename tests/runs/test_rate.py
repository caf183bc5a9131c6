"""A destination's rate: kept by all who send together, and no reason to hold up anybody who is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from app.domain.destination import DicomDestination
from app.domain.errors import Unavailable
from app.domain.run import RunState
from app.ports import StepContext, StepResult
from app.runs.control import request_cancel
from app.runs.working.rate import RateGate
from tests.runs.broken import broken_database
from tests.runs.conftest import QUEUE, World
from tests.runs.fakes import stored
from tests.runs.faults import Producing
from tests.services.processes import wait_until

BURST_SECONDS = 0.5  # of the rate, that a destination which was left alone allows at once


def destination(rate: float | None) -> DicomDestination:
    return DicomDestination(aet="ARCHIVE", host="127.0.0.1", port=104, rate=rate)


def never() -> bool:
    return False


def test_all_gates_together_keep_the_rate(world: World) -> None:
    gates = [RateGate(world.database, never) for _ in range(3)]
    to, studies = destination(rate=40.0), 60
    begun = time.monotonic()
    with ThreadPoolExecutor(6) as hands:
        allowed = list(hands.map(lambda number: gates[number % 3].permission(to, never), range(studies)))
    assert all(allowed)
    assert time.monotonic() - begun >= (studies - BURST_SECONDS * 40.0) / 40.0 - 0.05


def test_without_a_rate_nobody_is_asked(world: World) -> None:
    def act(honest: Any, *args: Any) -> Any:
        raise AssertionError("asked")

    gate = RateGate(broken_database(world.database, "destinations.take", act), never)
    assert gate.permission(destination(None), never)


def test_a_database_that_is_away_is_waited_for(world: World) -> None:
    refusals = [Unavailable("database: away")]

    def act(honest: Callable[..., Any], *args: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return honest(*args)

    gate = RateGate(broken_database(world.database, "destinations.take", act), never)
    assert gate.permission(destination(100.0), never)
    assert not refusals


@pytest.mark.parametrize("what", ["stopping", "cancelled"])
def test_waiting_ends_with_the_worker_and_with_the_run(world: World, what: str) -> None:
    over = threading.Event()
    gate = RateGate(world.database, over.is_set if what == "stopping" else never)
    is_over = over.is_set if what == "cancelled" else never
    slow = destination(rate=0.001)
    assert gate.permission(slow, is_over)
    with ThreadPoolExecutor(1) as hand:
        waiting = hand.submit(gate.permission, slow, is_over)
        assert not waiting.done()
        over.set()
        assert waiting.result(60) is False


DICOM = {"aet": "ARCHIVE", "host": "127.0.0.1", "port": 104}


def test_a_run_sends_its_studies_at_the_rate_and_waiting_is_no_part_of_the_step(world: World) -> None:
    times: list[float] = []

    def act(context: StepContext) -> StepResult:
        times.append(time.monotonic())
        assert context.deadline > time.monotonic()
        return stored(context)

    world.steps.steps["SEND_DICOM"].act = act
    steps = [{"type": "GENERATE_HL7"}, {"type": "SEND_DICOM", "timeout": 0.5}]
    destinations = {"hl7": f"127.0.0.1:{world.hl7_port}", "dicom": DICOM | {"rate": 10.0}}
    run = world.start(orders=20, steps=steps, destinations=destinations)
    assert world.run_to_end(run).state is RunState.COMPLETED
    assert max(times) - min(times) >= (20 - BURST_SECONDS * 10.0) / 10.0 - 0.2
    seconds = [event.event.data["seconds"] for event in world.events(run, "step.succeeded")]
    assert max(seconds) < 30
    assert not world.events(run, "step.retried")


def test_a_worker_that_stops_gives_back_the_job_that_waits_for_its_turn(world: World) -> None:
    destinations = {"hl7": f"127.0.0.1:{world.hl7_port}", "dicom": DICOM | {"rate": 0.001}}
    run = world.start(orders=2, destinations=destinations)
    producing = Producing(world, run)
    worker = world.worker(concurrency=2)
    worker.start()
    wait_until(lambda: worker.jobs_done == 1, 60, "one study is sent")
    wait_until(lambda: len(world.steps.steps["GENERATE_DICOM"].ran) == 2, 60, "the other one is made")
    assert worker.stop(grace=60.0)
    assert world.broker.depth(QUEUE).ready >= 1  # its producer may have published it again meanwhile
    request_cancel(world.database, run.id)
    other = replace(world).worker()
    other.start()
    assert producing.wait().state is RunState.CANCELLED
    assert other.stop(10)
    assert len(world.steps.steps["SEND_DICOM"].ran) == 1
