"""The worker's heartbeat: what it says of itself, and that it signs off."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from app.ports import WorkerRow
from app.runs.working.heartbeat import Heartbeat, cpu_limit
from tests.runs.conftest import World
from tests.services.processes import wait_until


def alive(world: World) -> list[WorkerRow]:
    with world.database.transaction() as work:
        return list(work.workers.alive())


def test_it_tells_how_busy_the_worker_is_and_signs_off(world: World) -> None:
    done = 0
    heartbeat = Heartbeat("w", ("a",), 4, lambda: (2, done, done > 50), world.database, every=0.05)
    thread = threading.Thread(target=heartbeat.work)
    thread.start()
    wait_until(lambda: bool(alive(world)), 30, "a first beat")
    done = 50
    until = time.process_time() + 0.2
    while time.process_time() < until:  # some work for the CPU
        pass
    wait_until(lambda: alive(world)[0].beat.jobs_done == 50, 30, "it tells of the jobs")
    [row] = alive(world)
    assert (row.beat.queues, row.beat.concurrency, row.beat.running, row.beat.draining) == (("a",), 4, 2, False)
    assert row.beat.jobs_per_second > 0
    assert row.beat.cpu > 0
    done = 51
    wait_until(lambda: alive(world)[0].beat.draining, 30, "it tells that it leaves")
    heartbeat.stop()
    thread.join(30)
    assert alive(world) == []


@pytest.mark.parametrize(("text", "cpus"), [("50000 100000\n", 0.5), ("max 100000\n", None), ("", None)])
def test_the_cpus_of_a_container_are_its_limit(tmp_path: Path, text: str, cpus: float | None) -> None:
    path = tmp_path / "cpu.max"
    path.write_text(text)
    everything = cpu_limit(tmp_path / "missing")
    assert everything >= 1
    assert cpu_limit(path) == (cpus or everything)
