"""What takes time: the rungs of the retry ladder, and whether programs grow while they run."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from app.domain.retry import RetryPolicy
from tests.chaos.chaos import Chaos
from tests.chaos.conftest import CarryOut
from tests.chaos.plan import Plan
from tests.qualify.amounts import amount
from tests.services.processes import resident_mib

REFUSED = amount("REFUSED_ORDERS", 5)
RETRIES = amount("RETRIES", 2)  # 8 for all rungs of the ladder
SOAK_SECONDS = amount("SOAK_SECONDS", 10)
SOAK_RATE = 10  # orders a second
SAMPLE_SECONDS = 1.0

Record = Callable[[str, object], None]


def test_a_job_is_started_again_when_its_rung_is_over(carry_out: CarryOut, record_property: Record) -> None:
    policy = RetryPolicy(max_attempts=RETRIES + 1)
    refused = tuple(range(REFUSED))  # and one that is done, as a run of which all fails has failed
    steps = [
        {"type": "GENERATE_HL7", "queue_async": True},
        {
            "type": "CHAOS_REFUSING",
            "parameters": {"orders": list(refused)},
            "retry": {"max_attempts": policy.max_attempts},
        },
        {"type": "GENERATE_DICOM"},
        {"type": "SEND_DICOM"},
    ]
    plan = Plan(seed=0, orders=REFUSED + 1, archive="storescp", workers=2, poisoned=refused)
    seconds = sum(policy.delays) + 600
    chaos = carry_out(plan, seconds=seconds, template={"steps": steps})
    late = lateness(chaos)
    assert {rung: len(values) for rung, values in late.items()} == {
        rung: REFUSED * policy.delays.count(rung) for rung in set(policy.delays)
    }
    record_property("rungs", len(late))
    for rung, values in late.items():
        record_property(f"rung_{rung:g}_s_late_ms", max(values))
    record_property("most_ms_late", max(map(max, late.values())))
    record_property("median_ms_late", statistics.median(value for values in late.values() for value in values))
    record_property("most_ms_early", max(0.0, *(-value for values in late.values() for value in values)))


def lateness(chaos: Chaos) -> dict[float, list[float]]:
    """By rung: the milliseconds between the end of each wait and the job's next start, by the database's clock."""
    retried: dict[tuple[int, int], tuple[datetime, float]] = {}
    started: dict[tuple[int, int], datetime] = {}
    for event in chaos.evidence.events:
        if event["kind"] == "step.retried":
            retried[event["order_number"], event["starts"]] = event["at"], event["data"]["delay_seconds"]
        elif event["kind"] == "job.started":
            started[event["order_number"], event["starts"]] = event["at"]
    late: dict[float, list[float]] = defaultdict(list)
    for (number, starts), (at, delay) in retried.items():
        waited = (started[number, starts + 1] - at).total_seconds()
        late[delay].append(round(1000 * (waited - delay), 1))
    return late


class Sample(NamedTuple):
    """What a process has."""

    memory_mib: float
    descriptors: int
    threads: int


def sample(pid: int) -> Sample:
    threads, descriptors = (sum(1 for _ in Path(f"/proc/{pid}/{part}").iterdir()) for part in ("task", "fd"))
    return Sample(resident_mib(pid), descriptors, threads)


def samples(chaos: Chaos, seconds: float) -> Iterator[tuple[str, int, Sample]]:
    """Of everybody, about once a second, for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, pids in chaos.crew.pids.items():
            for pid in pids:
                yield name, pid, sample(pid)
        time.sleep(SAMPLE_SECONDS)


def test_programs_do_not_grow_while_they_run(carry_out: CarryOut, record_property: Record) -> None:
    """Growth: the median of the last quarter against that of the second one, the first being for what is made once."""
    seen: dict[tuple[str, int], list[Sample]] = defaultdict(list)

    def look_on(chaos: Chaos) -> None:
        chaos.advance(0)
        chaos.department.pace.open()
        chaos.crew.wait_for_workers()
        chaos.crew.wait_for_holder()
        for name, pid, each in samples(chaos, SOAK_SECONDS):
            seen[name, pid].append(each)

    plan = Plan(seed=0, orders=SOAK_RATE * SOAK_SECONDS + 100, archive="storescp", workers=2)
    arrival = {"model": "constant", "rate": SOAK_RATE}
    chaos = carry_out(plan, look_on, seconds=SOAK_SECONDS + 900, template={"arrival": arrival})
    assert {name for name, _ in seen} == {"workers", "producers"} and len(seen) == plan.workers + 1
    assert chaos.figures["extra_stores"] == 0
    record_property("soak_seconds", SOAK_SECONDS)
    for field in Sample._fields:
        rows = [[getattr(each, field) for each in series] for series in seen.values()]
        record_property(f"{field}_most", round(max(map(max, rows)), 1))
        record_property(f"{field}_growth", round(max(map(growth, rows)), 2))


def growth(series: list[float]) -> float:
    quarter = len(series) // 4
    return statistics.median(series[3 * quarter :]) - statistics.median(series[quarter : 2 * quarter])
