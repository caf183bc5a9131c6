"""Services that go away, run out of room, and come back: nobody has to be restarted, and work goes on soon."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from tests.chaos.chaos import Chaos
from tests.chaos.conftest import CarryOut
from tests.chaos.plan import Plan
from tests.qualify.amounts import amount
from tests.services.processes import limit_file_size, wait_until

RETURNS = amount("SERVICE_RETURNS", 1)
PER_RETURN = 60  # orders that end between two
AWAY_SECONDS = amount("ARCHIVE_AWAY_SECONDS", 12)
PROBE_SECONDS = 5.0
CLAIMED_BEFORE = 2.0  # seconds in which jobs that were claimed before the breaker opened have found out
WAITING = amount("ORDERS_THAT_WAIT", 200)  # for the broker; many, so that one worker does not take all of them
LASTING = {"YEETER_LEASE_SECONDS": "60"}  # so that a producer that waits for a service is not taken for dead
LONG = 120.0  # seconds for what takes a few
SMALL = 2048  # bytes: less than any study has
STEPS = [
    {"type": "GENERATE_HL7", "queue_async": True},
    {"type": "GENERATE_DICOM", "parameters": {"through_store": True}},
    {"type": "SEND_DICOM"},
]

Record = Callable[[str, object], None]


def calm(orders: int) -> Plan:
    return Plan(seed=0, orders=orders, archive="storescp", workers=2)


def everybody(chaos: Chaos) -> dict[str, list[int]]:
    """Who runs, when all of them do."""
    chaos.crew.wait_for_workers()
    chaos.crew.wait_for_holder()
    return chaos.crew.pids


def restarted(before: dict[str, list[int]], chaos: Chaos) -> int:
    """Processes that have taken another one's place."""
    return sum(len(set(pids) - set(before[name])) for name, pids in chaos.crew.pids.items())


def at_work_again(chaos: Chaos, returned: Sequence[datetime]) -> list[float]:
    """For each return of the broker: the seconds until all workers have begun a job; LONG when one has begun none."""
    begun: dict[str, list[datetime]] = defaultdict(list)
    for event in chaos.evidence.events:
        if event["kind"] == "job.started":
            begun[event["data"]["worker"]].append(event["at"])
    assert len(begun) == chaos.plan.workers
    return [
        max(
            min((at - moment).total_seconds() for at in (*moments, moment + timedelta(seconds=LONG)) if at > moment)
            for moments in begun.values()
        )
        for moment in returned
    ]


def test_workers_are_at_work_soon_after_the_broker_is_back(carry_out: CarryOut, record_property: Record) -> None:
    returned: list[datetime] = []

    def restart_the_broker(chaos: Chaos) -> None:
        before = everybody(chaos)
        rabbitmq = chaos.department.rabbitmq
        for number in range(1, RETURNS + 1):
            chaos.advance(number * (PER_RETURN + WAITING) - WAITING)
            chaos.department.pace.allow(number * (PER_RETURN + WAITING))
            chaos.director.restart_broker(rabbitmq.kill if number % 2 else rabbitmq.stop)
            returned.append(datetime.now(UTC))
            # A quick pool may have done all that was waiting before the broker went.
            chaos.department.pace.allow(number * (PER_RETURN + WAITING) + PER_RETURN)
            chaos.wait_for_further_orders(LONG)
        chaos.figures["processes_restarted"] = restarted(before, chaos)

    plan = calm(RETURNS * (PER_RETURN + WAITING) + PER_RETURN)
    chaos = carry_out(plan, restart_the_broker, seconds=3600, settings=LASTING)
    record_property("broker_returns", RETURNS)
    record_property("at_work_after_seconds", round(max(at_work_again(chaos, returned)), 2))
    assert chaos.figures["processes_restarted"] == 0


def test_nobody_is_restarted_when_postgres_is_back(carry_out: CarryOut, record_property: Record) -> None:
    flowing: list[float] = []

    def restart_postgres(chaos: Chaos) -> None:
        before = everybody(chaos)
        for number in range(1, RETURNS + 1):
            chaos.advance(number * PER_RETURN, ahead=PER_RETURN)
            postgres = chaos.department.postgres
            chaos.director.restart_database(postgres.kill if number % 2 else postgres.stop)
            flowing.append(chaos.wait_for_further_orders(LONG))
        chaos.figures["processes_restarted"] = restarted(before, chaos)

    chaos = carry_out(calm((RETURNS + 1) * PER_RETURN), restart_postgres, seconds=3600, settings=LASTING)
    record_property("database_returns", RETURNS)
    record_property("orders_end_after_seconds", round(max(flowing), 2))
    assert chaos.figures["processes_restarted"] == 0


def test_an_archive_that_is_away_for_long_is_asked_now_and_then_and_costs_nothing(
    carry_out: CarryOut, record_property: Record
) -> None:
    def take_the_archive_away(chaos: Chaos) -> None:
        archive = chaos.department.links["dicom"]
        chaos.advance(PER_RETURN, ahead=PER_RETURN)
        chaos.department.archive.stop()
        chaos.department.pace.open()
        wait_until(lambda: chaos.rows.open_breakers() == 1, LONG, "the open breaker")
        opened = time.monotonic()
        time.sleep(AWAY_SECONDS)
        closed = time.monotonic()
        chaos.department.start_archive()
        flowing = chaos.wait_for_further_orders(LONG)
        tries = [moment for moment in archive.accepted_at if opened < moment < closed]
        probes = [moment for moment in tries if moment > opened + CLAIMED_BEFORE]
        print("tried, in seconds since the breaker opened:", *(f"{moment - opened:.2f}" for moment in tries))
        chaos.figures |= {
            "away_seconds": round(closed - opened, 1),
            "tries_of_what_was_claimed_before": len(tries) - len(probes),
            "probes": len(probes),
            "probes_beyond_one_in_5_s": max(len(probes) - math.ceil((closed - opened) / PROBE_SECONDS), 0),
            "least_seconds_between_probes": round(min(map(_difference, probes, probes[1:]), default=0.0), 2),
            "flowing_after_seconds": round(flowing, 2),
        }

    chaos = carry_out(calm(3 * PER_RETURN), take_the_archive_away, seconds=AWAY_SECONDS + 900)
    record_property("dead_letters", len(chaos.evidence.dead_letters))
    assert chaos.figures["probes"] > 0


def _difference(first: float, second: float) -> float:
    return second - first


def test_a_study_store_without_room_delays_its_orders(carry_out: CarryOut, record_property: Record) -> None:
    def fill_the_disk(chaos: Chaos) -> None:
        chaos.crew.wait_for_workers()
        workers = chaos.crew.pids["workers"]
        chaos.advance(PER_RETURN, ahead=PER_RETURN)
        for pid in workers:
            limit_file_size(pid, SMALL)
        wait_until(lambda: chaos.rows.retried() >= PER_RETURN // 2, LONG, "jobs that found the disk full")
        for pid in workers:
            limit_file_size(pid, None)
        chaos.figures["retried"] = chaos.rows.retried()
        chaos.figures["processes_restarted"] = int(workers != chaos.crew.pids["workers"])

    carry_out(calm(2 * PER_RETURN), fill_the_disk, template={"steps": STEPS})


def test_a_broker_without_room_delays_its_jobs(carry_out: CarryOut) -> None:
    def fill_the_disk(chaos: Chaos) -> None:
        chaos.advance(PER_RETURN)
        with chaos.department.rabbitmq.full_disk():
            chaos.department.pace.open()
            wait_until(lambda: chaos.rows.state() == "WAITING_ON_WORKERS", LONG, "the end of the emission")
            chaos.figures["ended_while_full"] = chaos.rows.ended()

    carry_out(calm(2 * PER_RETURN), fill_the_disk)


def test_a_database_that_ran_out_of_room_delays_its_run(carry_out: CarryOut) -> None:
    def fill_the_disk(chaos: Chaos) -> None:
        chaos.advance(PER_RETURN, ahead=PER_RETURN)
        with chaos.department.links["postgres"].refusing():
            chaos.department.postgres.fill_disk()
            chaos.department.postgres.start()
        chaos.figures["flowing_after_seconds"] = round(chaos.wait_for_further_orders(LONG), 2)

    carry_out(calm(3 * PER_RETURN), fill_the_disk)
