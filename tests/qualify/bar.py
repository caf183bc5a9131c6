"""The bar: what each check has to show, the tests that measure it, and how much they do in their long form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.qualify.amounts import PREFIX

Figures = dict[str, float | list[float]]
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Limit:
    """What a figure has to be; where several tests have recorded it, each of them."""

    figure: str
    least: float = -math.inf
    most: float = math.inf

    def missed(self, figures: Figures) -> str:
        """Empty when the figure is as it has to be."""
        found = figures.get(self.figure, [])
        values = found if isinstance(found, list) else [found]
        if not values:
            return f"{self.figure} was not recorded"
        wrong = [value for value in values if not self.least <= value <= self.most]
        return f"{self.figure} is {wrong[0]:g}, not {self}" if wrong else ""

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.least:g}"
        return f"{self.least:g} or more" if self.most == math.inf else f"{self.most:g} or less"


def exactly(figure: str, value: float) -> Limit:
    return Limit(figure, value, value)


def at_least(figure: str, value: float) -> Limit:
    return Limit(figure, least=value)


def at_most(figure: str, value: float) -> Limit:
    return Limit(figure, most=value)


@dataclass(frozen=True, slots=True)
class Check:
    """A line of the bar.

    Args:
        name: of its evidence.
        bar: what it has to show, in words.
        limits: the same in figures, beside that every test passes.
        tests: what measures it; or a ``program``, a module whose output ``reads`` takes the figures from.
        environment: chooses the long form.
        seconds: time limit of one test that has none of its own.
    """

    name: str
    bar: str
    limits: tuple[Limit, ...] = ()
    tests: tuple[str, ...] = ()
    program: str = ""
    reads: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    seconds: int = 300

    def missed(self, figures: Figures) -> list[str]:
        """What is not as the bar asks for; empty when all is."""
        return [text for limit in self.limits if (text := limit.missed(figures))]


CHAOS_ORDERS = 10_000
CHAOS_SEEDS = range(1, 21)
FUZZ_EXAMPLES = 20_000


def _long(**amounts: int) -> dict[str, str]:
    """The environment of these amounts (see amounts.py)."""
    return {f"{PREFIX}{name.upper()}": str(value) for name, value in amounts.items()}


def _chaos(seed: int) -> Check:
    return Check(
        name=f"chaos-{seed:02d}",
        bar=f"{CHAOS_ORDERS:,} orders under the faults of seed {seed}, a worker killed every second: 0 violations",
        limits=(exactly("orders", CHAOS_ORDERS), exactly("violations", 0)),
        tests=("tests/chaos/test_chaos.py::test_under_faults_nothing_is_lost_doubled_or_invented",),
        environment={"YEETER_CHAOS_SEED": str(seed), "YEETER_CHAOS_ORDERS": str(CHAOS_ORDERS)},
    )


CHECKS = (
    Check(
        name="roles",
        bar="every route and socket event × none, viewer, operator, admin",
        limits=(at_least("tests_passed", 200),),
        tests=("tests/api/test_roles.py",),
    ),
    Check(
        name="worker-killer",
        bar="a job that kills its worker is dead within its limit, and no innocent one with it",
        limits=(at_most("starts_of_the_killer", 5), exactly("innocents_dead", 0)),
        tests=("tests/runs/test_worker_killer.py",),
    ),
    Check(
        name="producer-killed",
        bar="the producer killed 50 times in one run: 0 orders lost or invented",
        limits=(at_least("producer_kills", 50), exactly("orders_lost", 0), exactly("orders_invented", 0)),
        tests=(
            "tests/runs/test_producer_processes.py"
            "::test_a_producer_that_is_killed_again_and_again_loses_and_invents_no_order",
        ),
        environment=_long(producer_kills=50),
        seconds=HOUR,
    ),
    Check(
        name="publishes",
        bar="100,000 confirmed publishes over 5 broker restarts: 0 lost",
        limits=(
            at_least("publishes_confirmed", 100_000),
            at_least("broker_restarts", 5),
            exactly("publishes_lost", 0),
            exactly("publishes_invented", 0),
        ),
        tests=("tests/contract/test_rabbitmq.py::test_nothing_is_lost_over_a_restart_and_a_kill",),
        environment=_long(publishes=100_000, broker_restarts=5),
        seconds=HOUR,
    ),
    Check(
        name="redelivery",
        bar="after SIGKILL of a consumer within 50 ms (p99); of a frozen one within 3 heartbeats + 1 s",
        limits=(
            at_least("consumer_kills", 250),
            at_most("redelivery_p99_ms", 50),
            at_least("consumer_freezes", 5),
            at_most("frozen_seconds_beyond_3_heartbeats", 1),
        ),
        tests=("tests/chaos/test_redelivery.py",),
        environment=_long(consumer_kills=250, consumer_freezes=5, heartbeat_seconds=10),
        seconds=HOUR,
    ),
    Check(
        name="recovery",
        bar="workers at work within 5 s of the broker's return; no process restarted for it, nor for PostgreSQL's",
        limits=(
            at_least("broker_returns", 5),
            at_most("at_work_after_seconds", 5),
            at_least("database_returns", 5),
            exactly("processes_restarted", 0),
            exactly("violations", 0),
        ),
        tests=(
            "tests/chaos/test_services_return.py::test_workers_are_at_work_soon_after_the_broker_is_back",
            "tests/chaos/test_services_return.py::test_nobody_is_restarted_when_postgres_is_back",
        ),
        environment=_long(service_returns=5, orders_that_wait=1000),
        seconds=HOUR,
    ),
    Check(
        name="full-disks",
        bar="study store, broker, database without room: the invariants hold",
        limits=(at_least("tests_passed", 3), exactly("violations", 0)),
        tests=(
            "tests/chaos/test_services_return.py::test_a_study_store_without_room_delays_its_orders",
            "tests/chaos/test_services_return.py::test_a_broker_without_room_delays_its_jobs",
            "tests/chaos/test_services_return.py::test_a_database_that_ran_out_of_room_delays_its_run",
        ),
    ),
    Check(
        name="clocks",
        bar="workers' clocks that jump by 2 hours, either way: the invariants hold, no job is started twice",
        limits=(
            at_least("orders", 600),
            at_least("clock_error_seconds", 7200),
            exactly("jobs_started_twice", 0),
            exactly("violations", 0),
        ),
        tests=("tests/chaos/test_workers_come_and_go.py::test_a_worker_whose_clock_jumps_by_hours_does_its_part",),
        environment=_long(clock_orders=600),
        seconds=HOUR,
    ),
    Check(
        name="worker-restarts",
        bar="100 rolling SIGTERM restarts of workers under load: no job started twice, exit within the job limit + 2 s",
        limits=(
            at_least("worker_restarts", 100),
            exactly("jobs_started_twice", 0),
            at_most("exit_seconds_beyond_the_job_limit", 2),
            exactly("violations", 0),
        ),
        tests=(
            "tests/chaos/test_workers_come_and_go.py"
            "::test_workers_that_are_restarted_one_after_the_other_start_no_job_twice",
        ),
        environment=_long(worker_restarts=100),
        seconds=HOUR,
    ),
    Check(
        name="archive-away",
        bar="archive down 10 min: 0 dead letters, at most one probe every 5 s, flowing within 10 s of its return",
        limits=(
            at_least("away_seconds", 600),
            exactly("probes_beyond_one_in_5_s", 0),
            exactly("dead_letters", 0),
            at_most("flowing_after_seconds", 10),
            exactly("violations", 0),
        ),
        tests=(
            "tests/chaos/test_services_return.py"
            "::test_an_archive_that_is_away_for_long_is_asked_now_and_then_and_costs_nothing",
        ),
        environment=_long(archive_away_seconds=600),
        seconds=HOUR,
    ),
    Check(
        name="back-off",
        bar="each rung of the retry ladder within 100 ms",
        limits=(
            exactly("rungs", 7),
            at_most("most_ms_late", 100),
            at_most("most_ms_early", 100),
            exactly("violations", 0),
        ),
        tests=("tests/chaos/test_over_time.py::test_a_job_is_started_again_when_its_rung_is_over",),
        environment=_long(refused_orders=40, retries=8),
        seconds=HOUR,
    ),
    Check(
        name="extra-stores",
        bar="without faults no instance is sent twice",
        limits=(at_least("orders", CHAOS_ORDERS), exactly("extra_stores", 0), exactly("violations", 0)),
        tests=("tests/chaos/test_chaos.py::test_without_faults_everything_agrees",),
        environment=_long(calm_orders=CHAOS_ORDERS),
    ),
    Check(
        name="embedded",
        bar="the embedded process killed in mid-run and started again: the same invariants",
        limits=(at_least("orders", 500), at_least("kills", 4), exactly("violations", 0)),
        tests=("tests/chaos/test_embedded.py",),
        environment={"YEETER_CHAOS_SEED": "1 2 3 4 5"},
    ),
    Check(
        name="mutants",
        bar="every broken guarantee is noticed by the suite, at least 12 of them",
        limits=(at_least("caught", 12), exactly("living", 0)),
        program="tests.mutants",
        reads=r"(?P<caught>\d+) of \d+ caught, (?P<living>\d+) living",
    ),
    Check(
        name="fuzz",
        bar="1,000,000 MLLP chunks and 100,000 PDUs: 0 crashes, memory flat",
        limits=(
            at_least("mllp_chunks", 1_000_000),
            at_least("pdus", 100_000),
            at_most("mllp_memory_growth_mib", 1),
            at_most("pdu_memory_growth_mib", 1),
        ),
        tests=(
            "tests/fuzz/test_mllp.py::test_the_memory_of_a_long_stream_stays_where_it_is",
            "tests/fuzz/test_pdu.py::test_the_memory_of_many_connections_stays_where_it_is",
        ),
        environment={"YEETER_FUZZ_EXAMPLES": str(FUZZ_EXAMPLES)},
        seconds=HOUR,
    ),
    Check(
        name="fuzz-search",
        bar=f"{FUZZ_EXAMPLES:,} examples for each test of MLLP, PDUs and HL7: none that is not as documented",
        limits=(at_least("tests_passed", 11),),
        tests=("tests/fuzz/test_mllp.py", "tests/fuzz/test_pdu.py", "tests/fuzz/test_hl7.py"),
        environment={"YEETER_FUZZ_EXAMPLES": str(FUZZ_EXAMPLES)},
        seconds=HOUR,
    ),
    Check(
        name="soak",
        bar="an hour: memory, descriptors and threads of producer and workers flat",
        limits=(
            at_least("soak_seconds", HOUR),
            at_most("memory_mib_growth", 5),
            at_most("descriptors_growth", 2),
            at_most("threads_growth", 1),
            exactly("violations", 0),
        ),
        tests=("tests/chaos/test_over_time.py::test_programs_do_not_grow_while_they_run",),
        environment=_long(soak_seconds=HOUR),
        seconds=2 * HOUR,
    ),
    *map(_chaos, CHAOS_SEEDS),
)
