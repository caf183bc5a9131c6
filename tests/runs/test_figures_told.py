"""The log line that a run leaves behind when it ends."""

from __future__ import annotations

import json
from typing import Any

from structlog.testing import capture_logs

from app.runs.producing.give_up import give_up
from tests.runs.conftest import World


def figures(lines: list[Any]) -> dict[str, Any]:
    """Of the one line that there is."""
    [line] = [line for line in lines if line["event"] == "figures"]
    json.dumps(line)
    return dict(line)


def test_a_run_that_ends_tells_its_figures_once(world: World) -> None:
    with capture_logs() as lines:
        run = world.run_to_end(world.start(orders=3))
    assert run.summary is not None
    told = figures(lines)
    assert (told["of"], told["run_key"], told["state"], told["verdict"]) == (
        "run",
        run.run_key,
        run.state,
        run.summary["verdict"],
    )
    assert (told["orders_requested"], told["orders_completed"], told["jobs_succeeded"]) == (3, 3, 3)
    assert told["instances_stored"] == 3 and told["p95_c_store_seconds"] > 0
    assert told["orders_per_second"] == run.summary["rates"]["orders_per_second"]


def test_one_that_is_given_up_has_figures_too(world: World) -> None:
    run = world.start(orders=3)
    with capture_logs() as lines:
        give_up(world.database, run.id, "nobody can run it", 5.0)
        give_up(world.database, run.id, "again", 5.0)
    told = figures(lines)
    assert (told["state"], told["orders_completed"], told["mean_job_seconds"]) == ("FAILED", 0, None)
