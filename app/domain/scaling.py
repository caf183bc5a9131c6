"""How many workers a pool should have: by what its queues hold, how fast they empty, and what was wanted before. Pure.

    wanted = (jobs that arrive a second + backlog / seconds to drain it in) / jobs that a worker does a second

rounded up, between min and max. The backlog is everything that is not done: ready, unacknowledged, and waiting to be
published. What arrives keeps its workers when the queue is empty because they keep up; a formula of the backlog alone
takes them away and brings them back for ever.

A pool grows at once, by a little more than it has to. It shrinks to the most that was wanted over a while (as the
stabilisation window of a HorizontalPodAutoscaler has it), once in such a while, and only when it was measured all the
time: a broker that can't be asked is no empty queue. A person's number goes before ours until it expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from app.domain.errors import InvalidInput, Problem
from app.domain.template import problems_of

POOL_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"  # as Kubernetes has names of objects (RFC 1123 labels)


class PoolPolicy(BaseModel):
    """A worker pool: the queues it serves, and how it is scaled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=POOL_PATTERN)
    deployment: str = Field(default="yeeter-worker", pattern=POOL_PATTERN)
    queues: tuple[str, ...] = Field(default=("default",), min_length=1)
    min: int = Field(default=1, ge=0, le=10_000)
    max: int = Field(default=20, ge=1, le=10_000)
    target_seconds: float = Field(default=60.0, gt=0, description="time in which the backlog shall be done")
    jobs_per_second: float = Field(default=5.0, gt=0, description="of one worker, until it has been measured")
    tolerance: float = Field(default=0.1, ge=0, lt=1, description="share by which the number may be off")
    scale_in_after: float = Field(
        default=120.0, ge=0, le=86_400, description="seconds for which fewer must have been enough"
    )
    step_out: int = Field(default=100, ge=1, description="workers more at once, at most")
    step_in: int = Field(default=100, ge=1, description="workers fewer at once, at most")
    cpu_target: float | None = Field(
        default=None, gt=0, le=1, description="mean share of their CPU; none: not looked at"
    )

    @model_validator(mode="after")
    def _min_is_not_above_max(self) -> PoolPolicy:
        if self.min > self.max:
            raise ValueError("min is above max")
        return self


@dataclass(frozen=True, slots=True)
class PoolLoad:
    """What was measured. ``cpu`` is the mean over the pool's workers, 1.0 being all that one may use."""

    ready: int
    unacknowledged: int
    unpublished: int = 0  # waits for its turn in the outbox
    workers: int = 0  # that tell of themselves
    jobs_per_second: float = 0.0  # that these have finished of late, together
    cpu: float | None = None

    @property
    def backlog(self) -> int:
        return self.ready + self.unacknowledged + self.unpublished


@dataclass(frozen=True, slots=True)
class PoolSize:
    """``replicas`` are to be there; ``present`` are."""

    replicas: int
    present: int


@dataclass(frozen=True, slots=True)
class Pin:
    """A person's number, until it expires."""

    pool: str
    replicas: int
    until: datetime
    by: str


class ScalingKind(StrEnum):
    STEADY = "steady"
    OUT = "out"
    IN = "in"
    PINNED = "pinned"
    HELD = "held"  # nothing could be measured, or nothing could be changed


@dataclass(frozen=True, slots=True)
class ScalingDecision:
    """One look at a pool. ``wanted``: what the load alone asks for; None where it is not known.

    ``per_worker``: jobs a second that one worker is held to do, measured while it was kept busy.
    """

    pool: str
    at: datetime
    kind: ScalingKind
    before: int
    after: int
    wanted: int | None
    reason: str
    per_worker: float
    load: PoolLoad | None = None


_POOLS = TypeAdapter(Annotated[list[PoolPolicy], Field(min_length=1)])


def parse_pools(document: Any) -> list[PoolPolicy]:
    """The pools of a parsed YAML document.

    Raises:
        InvalidInput: every problem found, each with its place.
    """
    try:
        pools = _POOLS.validate_python(document)
    except ValidationError as error:
        raise InvalidInput(*problems_of(error)) from error
    for field in ("name", "deployment"):
        values = [getattr(pool, field) for pool in pools]
        for place, value in enumerate(values):
            if value in values[:place]:
                raise InvalidInput(Problem(f"{place}.{field}", f"{value!r} is another pool's, too", "give it another"))
    return pools


def decide(
    policy: PoolPolicy,
    at: datetime,
    size: PoolSize,
    load: PoolLoad | str,
    history: Sequence[ScalingDecision] = (),
    pin: Pin | None = None,
) -> ScalingDecision:
    """What to do about a pool now.

    Args:
        load: what was measured, or why it could not be.
        history: earlier decisions about this pool, oldest first.
        pin: what a person wants; one that has expired counts for nothing.
    """
    measured = load if isinstance(load, PoolLoad) else None
    per_worker = _per_worker(policy, measured, history)
    wanted = None if measured is None else _wanted(policy, at, size, measured, per_worker, history)

    def decision(kind: ScalingKind, after: int, reason: str) -> ScalingDecision:
        return ScalingDecision(policy.name, at, kind, size.replicas, after, wanted, reason, per_worker, measured)

    if pin is not None and pin.until > at:
        return decision(ScalingKind.PINNED, pin.replicas, f"set by {pin.by} until {pin.until:%Y-%m-%d %H:%M:%S} UTC")
    if wanted is None:
        return decision(ScalingKind.HELD, size.replicas, f"not measured: {load}")
    assert measured is not None
    about = _about(measured, per_worker)
    if wanted > size.replicas:
        if _is_near(policy, wanted, size.replicas):
            return decision(ScalingKind.STEADY, size.replicas, f"{wanted} would do, which is near enough: {about}")
        roomy = min(int(wanted * (1 + policy.tolerance)), policy.max)
        return decision(ScalingKind.OUT, min(roomy, size.replicas + policy.step_out), about)
    enough = _enough(policy, at, wanted, history)
    if enough is None:
        reason = f"{wanted} would do, but not yet for {policy.scale_in_after:g} s: {about}"
        return decision(ScalingKind.STEADY, size.replicas, reason if wanted < size.replicas else about)
    after = max(enough, size.replicas - policy.step_in)
    is_near = after > policy.min and _is_near(policy, after, size.replicas)
    if after < size.replicas and not is_near:
        return decision(ScalingKind.IN, after, f"{enough} were enough for {policy.scale_in_after:g} s: {about}")
    return decision(ScalingKind.STEADY, size.replicas, about)


def _wanted(
    policy: PoolPolicy,
    at: datetime,
    size: PoolSize,
    load: PoolLoad,
    per_worker: float,
    history: Sequence[ScalingDecision],
) -> int:
    arriving = _arriving(at, load, history)
    wanted = max(ceil((arriving + load.backlog / policy.target_seconds) / per_worker), policy.min)
    if load.backlog:
        by_cpu = 0
        if policy.cpu_target is not None and load.cpu is not None:
            by_cpu = ceil(size.present * load.cpu / policy.cpu_target)
        wanted = max(wanted, by_cpu, 1)
    return min(wanted, policy.max)


def _arriving(at: datetime, load: PoolLoad, history: Sequence[ScalingDecision]) -> float:
    """Jobs a second: those that were done, and those by which the backlog grew since the last look."""
    before = history[-1] if history else None
    if before is None or before.load is None or at <= before.at:
        return 0.0
    grown = (load.backlog - before.load.backlog) / (at - before.at).total_seconds()
    return max(load.jobs_per_second + grown, 0.0)


def _per_worker(policy: PoolPolicy, load: PoolLoad | None, history: Sequence[ScalingDecision]) -> float:
    """Learnt only while jobs are waiting: a worker with nothing to do is not a slow one.

    A measurement counts half, so that one slow minute doesn't multiply the pool.
    """
    known = history[-1].per_worker if history else policy.jobs_per_second
    before = history[-1].load if history else None
    is_busy = load is not None and before is not None and bool(load.ready and before.ready)
    if load is None or not is_busy or not load.workers or not load.jobs_per_second:
        return known
    return (known + load.jobs_per_second / load.workers) / 2


def _enough(policy: PoolPolicy, at: datetime, wanted: int, history: Sequence[ScalingDecision]) -> int | None:
    """The most that was wanted over the window; None where it was not measured, or changed, within it."""
    since = at - timedelta(seconds=policy.scale_in_after)
    within = [decision for decision in history if decision.at > since]
    if any(decision.wanted is None or decision.after < decision.before for decision in within):
        return None
    if policy.scale_in_after and (len(within) == len(history)):
        return None  # we have not looked for so long
    return max([wanted, *(decision.wanted for decision in within if decision.wanted is not None)])


def _is_near(policy: PoolPolicy, wanted: int, replicas: int) -> bool:
    return abs(wanted - replicas) <= policy.tolerance * replicas


def _about(load: PoolLoad, per_worker: float) -> str:
    parts = [f"{load.ready} ready", f"{load.unacknowledged} with workers"]
    if load.unpublished:
        parts.append(f"{load.unpublished} to be published")
    if load.cpu is not None:
        parts.append(f"CPU {load.cpu:.0%}")
    return f"{', '.join(parts)}; a worker does {per_worker:.3g} jobs/s"
