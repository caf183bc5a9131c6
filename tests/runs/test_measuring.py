"""The benchmark of what measuring costs: its stand-in for the figures keeps what a run needs to end, and no more."""

from __future__ import annotations

from app.domain.run import OrderState, RunState
from app.runs.reading.progress import ProgressFold
from benchmarks.measuring import WhatEndsARun
from tests.runs.conftest import World


def test_a_run_ends_as_it_would_without_its_figures(world: World) -> None:
    run = world.start(orders=3)
    producer, worker = world.producer(run), world.worker()
    producer.folds = WhatEndsARun(ProgressFold(run.requested))
    worker.start()
    try:
        ended = producer.produce()
    finally:
        assert worker.stop(grace=10.0)
    assert ended.state is RunState.COMPLETED and ended.summary is not None
    assert ended.summary["orders"]["completed"] == 0 and ended.summary["wall_seconds"] > 0
    with world.database.transaction() as work:
        assert work.orders.counts(run.id)[OrderState.COMPLETED] == 3
