"""Workers that are restarted in good order, and workers whose clocks are wrong: nothing is started twice for that."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.chaos.chaos import Chaos
from tests.chaos.conftest import CarryOut
from tests.chaos.crew import AT_WORK, PATIENCE
from tests.chaos.plan import Plan
from tests.qualify.amounts import amount
from tests.services.processes import Program, ServiceMissing

RESTARTS = amount("WORKER_RESTARTS", 4)
PER_RESTART = 30  # orders that end between two
JOB_SECONDS = 0.1
JOB_LIMIT = 5  # seconds that a job may take
CLOCK_ORDERS = amount("CLOCK_ORDERS", 90)
CLOCK_ERROR = 7200  # seconds

Record = Callable[[str, object], None]


def slow_steps(seconds: float, orders: int, log: Path) -> list[dict[str, Any]]:
    parameters = {"orders": list(range(orders)), "seconds": seconds, "log": str(log)}
    return [
        {"type": "GENERATE_HL7", "queue_async": True},
        {"type": "CHAOS_SLOW", "parameters": parameters, "timeout": JOB_LIMIT},
        {"type": "GENERATE_DICOM"},
        {"type": "SEND_DICOM"},
    ]


def begun_twice(log: Path) -> int:
    """Jobs that were; those that were claimed and given back were not begun."""
    begun = Counter(line.split()[0] for line in log.read_text().splitlines())
    return sum(times > 1 for times in begun.values())


def clock_errors(log: Path) -> list[float]:
    """What the workers' clocks were wrong by, in seconds, within some minutes."""
    return [float(line.split()[1]) - time.time() for line in log.read_text().splitlines()]


def test_workers_that_are_restarted_one_after_the_other_start_no_job_twice(
    carry_out: CarryOut, record_property: Record, tmp_path: Path
) -> None:
    log = tmp_path / "begun"
    orders = (RESTARTS + 1) * PER_RESTART
    ends: list[float] = []

    def restart_them(chaos: Chaos) -> None:
        for number in range(1, RESTARTS + 1):
            chaos.advance(number * PER_RESTART, ahead=PER_RESTART)
            ends.append(chaos.crew.retire_worker())

    chaos = carry_out(
        Plan(seed=0, orders=orders, archive="storescp", workers=2),
        restart_them,
        seconds=3600,
        template={"steps": slow_steps(JOB_SECONDS, orders, log)},
        settings={"YEETER_WORKER_GRACE": str(JOB_LIMIT)},
    )
    record_property("worker_restarts", len(ends))
    given_back = sum(step["starts"] > 1 for step in chaos.evidence.steps)
    record_property("jobs_given_back", given_back)
    record_property("jobs_started_twice", begun_twice(log))
    print("seconds to the exit:", *(f"{seconds:.2f}" for seconds in ends))
    record_property("exit_seconds", round(max(ends), 2))
    record_property("exit_seconds_beyond_the_job_limit", round(max(max(ends) - JOB_LIMIT, 0.0), 2))
    assert begun_twice(log) == 0


class WrongClock:
    """A worker whose clock is wrong, by as much as its file says at the moment."""

    def __init__(self, chaos: Chaos, name: str, programs: ExitStack) -> None:
        self._file = chaos.department.folder / f"{name}.clock"
        self.be_wrong_by(0)
        settings = {
            "LD_PRELOAD": _falsifying_library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # which no administrator sets
        }
        command = [sys.executable, "-m", "app.worker", "--queues", chaos.department.queue]
        log = chaos.department.folder / f"{name}.log"
        self.program = programs.enter_context(Program(command, log, chaos.department.environment | settings))
        self.program.wait_for_line(AT_WORK, PATIENCE)

    def be_wrong_by(self, seconds: int) -> None:
        beside = Path(f"{self._file}.new")
        beside.write_text(f"{seconds:+d}\n")
        beside.replace(self._file)


def _falsifying_library() -> str:
    """What ``faketime`` preloads for programs with threads; by itself it would heed no file."""
    if shutil.which("faketime") is None:
        raise ServiceMissing("faketime", "faketime")
    done = subprocess.run(
        ["faketime", "-m", "-f", "+0", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_worker_whose_clock_jumps_by_hours_does_its_part(
    carry_out: CarryOut, record_property: Record, tmp_path: Path
) -> None:
    log = tmp_path / "begun"
    with ExitStack() as programs:

        def have_clocks_jump(chaos: Chaos) -> None:
            clocks = [WrongClock(chaos, name, programs) for name in ("ahead", "behind")]
            chaos.advance(CLOCK_ORDERS // 3, ahead=10)
            for clock, seconds in zip(clocks, (CLOCK_ERROR, -CLOCK_ERROR), strict=True):
                clock.be_wrong_by(seconds)
            chaos.advance(2 * CLOCK_ORDERS // 3, ahead=10)
            for clock, seconds in zip(clocks, (-CLOCK_ERROR, CLOCK_ERROR), strict=True):
                clock.be_wrong_by(seconds)

        chaos = carry_out(
            Plan(seed=0, orders=CLOCK_ORDERS, archive="storescp", workers=1),
            have_clocks_jump,
            template={"steps": slow_steps(0.02, CLOCK_ORDERS, log)},
        )
    by = Counter(event["data"]["worker"] for event in chaos.evidence.events if event["kind"] == "job.finished")
    told = [
        abs(event["data"][name])
        for event in chaos.evidence.events
        for name in ("seconds", "wait_seconds", "publish_seconds")
        if name in event["data"]
    ]
    errors = clock_errors(log)
    assert max(errors) > 0.9 * CLOCK_ERROR and min(errors) < -0.9 * CLOCK_ERROR
    record_property("clock_error_seconds", CLOCK_ERROR)
    record_property("workers_that_did_jobs", len(by))
    record_property("jobs_started_twice", begun_twice(log))
    record_property("longest_time_told_seconds", round(max(told), 2))
    assert len(by) == 3, by
    assert begun_twice(log) == 0
    assert max(told) < CLOCK_ERROR / 2
