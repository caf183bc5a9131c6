"""The figures that are kept of a run say the same as its summary, whoever reads them."""

from __future__ import annotations

import pytest

from app.api.figures import LiveFigures
from app.runs.control import request_cancel
from tests.runs.conftest import World


def test_stages_intervals_and_workers_agree_with_the_summary(world: World) -> None:
    run = world.run_to_end(world.start(orders=20))
    summary = run.summary or {}
    with world.database.transaction() as work:
        metrics = work.figures.get(run.id, 0)
    assert metrics is not None
    latency = {stage.stage: stage for stage in metrics.stages}
    for stage, figures in summary["latency_seconds"].items():
        if figures:
            assert {name: getattr(latency[stage], name) for name in figures} == figures
    assert {name for name in latency if name.startswith("step.")} == {"step.GENERATE_DICOM", "step.SEND_DICOM"}
    sums = {
        name: sum(getattr(interval, name) for interval in metrics.intervals)
        for name in ("emitted", "acknowledged", "completed", "jobs", "instances", "bytes")
    }
    assert sums == {
        "emitted": summary["orders"]["emitted"],
        "acknowledged": summary["orders"]["acknowledged"],
        "completed": summary["orders"]["completed"],
        "jobs": summary["jobs"]["succeeded"],
        "instances": summary["dicom"]["instances_stored"],
        "bytes": summary["dicom"]["bytes_stored"],
    }
    observed = sum(interval.latency.get("hl7_ack", {}).get("count", 0) for interval in metrics.intervals)
    assert observed == latency["hl7_ack"].count == 20
    assert metrics.intervals[-1].queued == metrics.intervals[-1].running == 0
    [share] = metrics.workers
    assert (share.worker, share.jobs) == ("w", 20)
    assert share.busy_seconds == pytest.approx(summary["workers"][0]["busy"], abs=0.001)


def test_so_far_is_the_same_as_at_the_end(world: World) -> None:
    run = world.run_to_end(world.start(orders=5))
    with world.database.transaction() as work:
        kept = work.figures.get(run.id, 0)
        work.figures.keep(run.id, 0, type(kept)((), (), ()))  # type: ignore[misc]
    assert LiveFigures(world.database).metrics(run) == kept


def test_a_run_that_was_cancelled_before_it_began_has_none(world: World) -> None:
    run = world.start(orders=5)
    request_cancel(world.database, run.id)
    figures = LiveFigures(world.database).metrics(run)
    assert (figures.stages, figures.workers) == ((), ())
