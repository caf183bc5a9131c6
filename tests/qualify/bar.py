"""The bar: what each check has to show, the tests that measure it, and how much they do in their long form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

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
        environment={"YEETER_QUALIFY_PRODUCER_KILLS": "50"},
        seconds=HOUR,
    ),
    Check(
        name="extra-stores",
        bar="without faults no instance is sent twice",
        limits=(at_least("orders", CHAOS_ORDERS), exactly("extra_stores", 0), exactly("violations", 0)),
        tests=("tests/chaos/test_chaos.py::test_without_faults_everything_agrees",),
        environment={"YEETER_QUALIFY_CALM_ORDERS": str(CHAOS_ORDERS)},
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
        tests=("tests/fuzz/test_mllp.py", "tests/fuzz/test_pdu.py", "tests/fuzz/test_hl7.py"),
        environment={"YEETER_FUZZ_EXAMPLES": str(FUZZ_EXAMPLES)},
        seconds=HOUR,
    ),
    *map(_chaos, CHAOS_SEEDS),
)
