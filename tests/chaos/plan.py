"""The fault plan: what happens to a run, at which points of its progress. The same seed gives the same plan.

What the environment does not say is the short form, which is part of every test run.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass

SEEDS = [int(seed) for seed in os.environ.get("YEETER_CHAOS_SEED", "1 2 3").split()]
ORDERS = int(os.environ.get("YEETER_CHAOS_ORDERS", "1500"))
KILL_EVERY = float(os.environ.get("YEETER_CHAOS_KILL_EVERY", "1"))  # seconds between two workers that are killed

LINKS = ("amqp", "postgres", "dicom", "mllp")
FREEZE_SECONDS = 20.0  # of a worker: longer than the broker waits for its heartbeats
EXTRA_EVERY = 1000  # orders: a longer run meets one more fault for each so many
POISONED = 4
FLAKY = 4
KILLERS = 2


@dataclass(frozen=True, slots=True)
class Fault:
    """``after`` so many orders have ended; ``seconds`` is how long it lasts, where it lasts."""

    after: int
    kind: str
    seconds: float = 0.0
    link: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is drawn. ``poisoned``, ``flaky`` and ``killers`` are numbers of orders (see steps.py)."""

    seed: int
    orders: int
    archive: str
    workers: int = 3
    kill_every: float = 0.0  # seconds between two workers that are killed; 0: none is
    poisoned: tuple[int, ...] = ()
    flaky: tuple[int, ...] = ()
    killers: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def dead(self) -> frozenset[int]:
        """The orders that must end as dead letters, and no others."""
        return frozenset((*self.poisoned, *self.killers))

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def calm_plan(orders: int, archive: str = "storescp") -> Plan:
    """No faults at all: what the harness itself must be able to do."""
    return Plan(seed=0, orders=orders, archive=archive, workers=2)


def draw_plan(seed: int, orders: int, kill_every: float = 1.0) -> Plan:
    """Every kind of fault at least once, in an order and at points of progress that the seed decides.

    ``kill_every``: seconds between two workers that are killed beside these.
    """
    draw = random.Random(seed)
    special = draw.sample(range(orders), POISONED + FLAKY + KILLERS)
    return Plan(
        seed=seed,
        orders=orders,
        archive=draw.choice(("orthanc", "storescp")),
        kill_every=kill_every,
        poisoned=tuple(sorted(special[:POISONED])),
        flaky=tuple(sorted(special[POISONED : POISONED + FLAKY])),
        killers=tuple(sorted(special[POISONED + FLAKY :])),
        faults=_spread(draw, orders, _kinds(draw, orders)),
    )


def _kinds(draw: random.Random, orders: int) -> list[Fault]:
    """In the order in which they are to happen, without their points of progress."""
    middle = [
        Fault(0, "broker_killed"),
        Fault(0, "broker_restarted"),
        Fault(0, draw.choice(("database_killed", "database_restarted"))),
        Fault(0, "archive_away", seconds=round(draw.uniform(2.0, 4.0), 1)),
        Fault(0, "receiver_killed"),
        Fault(0, "producer_killed"),
        Fault(0, "junk"),
        *(Fault(0, "cut", link=link) for link in LINKS),
        *(_passing(draw) for _ in range(orders // EXTRA_EVERY)),
    ]
    draw.shuffle(middle)
    # The frozen worker comes first, as the others happen meanwhile; the last one needs a run that is all emitted.
    return [Fault(0, "worker_frozen", seconds=FREEZE_SECONDS), *middle, Fault(0, "producer_killed_while_waiting")]


def _passing(draw: random.Random) -> Fault:
    """A fault that passes by itself."""
    kind = draw.choice(("cut", "stalled", "slowed", "producer_killed", "producer_frozen"))
    seconds = round(draw.uniform(1.0, 3.0), 1) if kind in ("stalled", "slowed") else 0.0
    return Fault(0, kind, seconds, "" if kind.startswith("producer") else draw.choice(LINKS))


def _spread(draw: random.Random, orders: int, kinds: Sequence[Fault]) -> tuple[Fault, ...]:
    """Give them their points: evenly over the run, each moved a little; the last tenth is free of them."""
    pitch = 0.9 * orders / len(kinds)
    points = sorted(int(pitch * (index + draw.uniform(0.2, 1.0))) for index in range(len(kinds)))
    return tuple(
        Fault(point, fault.kind, fault.seconds, fault.link) for point, fault in zip(points, kinds, strict=True)
    )
