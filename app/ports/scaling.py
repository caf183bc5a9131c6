"""Sizing worker pools: measuring queues, resizing pools, being the only one who does, and the records."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.domain.scaling import Pin, PoolPolicy, PoolSize, ScalingDecision


@dataclass(frozen=True, slots=True)
class QueueLoad:
    """Messages of a queue: ready to be delivered, and delivered but not yet acknowledged."""

    ready: int
    unacknowledged: int


class QueueMeter(Protocol):
    def measure(self, queues: Collection[str]) -> Mapping[str, QueueLoad]:
        """Each queue's load; one that was never declared is left out.

        Raises:
            Unavailable: the broker could not be asked. No figure stands for that.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SeenPool:
    """A pool as it was seen.

    ``identity`` tells one that was made anew from the one before; ``version`` belongs to the adapter.
    """

    size: PoolSize
    identity: str
    version: str


class WorkerPools(Protocol):
    """Where worker processes run.

    Raises (both): Unavailable when it can't be asked, or does not let us; NotFound for a pool that it does not have.
    """

    def look(self, policy: PoolPolicy) -> SeenPool: ...

    def resize(self, policy: PoolPolicy, seen: SeenPool, replicas: int) -> None:
        """Only if it still is as it was seen. Running jobs are finished by the workers that have to go.

        Raises:
            Conflict: somebody changed it since.
        """
        ...

    def close(self) -> None: ...


class Leadership(Protocol):
    """Of several autoscalers one acts."""

    def hold(self) -> bool:
        """Get it, or keep it, for some seconds; False while another one has it. Raises as :class:`WorkerPools` does."""
        ...

    def release(self) -> None:
        """Let the next one have it at once. Raises nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ScalingRecord:
    """A decision that was written down. ``applied``: what it says was done, where something was to be done."""

    id: int
    decision: ScalingDecision
    applied: bool
    identity: str


class ScalingRecords(Protocol):
    """The decisions (of a unit of work)."""

    def now(self) -> datetime:
        """The database's clock, which decisions go by."""
        ...

    def history(self, pool: str, seconds: float) -> list[ScalingRecord]:
        """Of the last so many seconds, and the newest one before; oldest first."""
        ...

    def add(self, decision: ScalingDecision, identity: str, *, applied: bool) -> int:
        """Returns its id."""
        ...

    def mark_applied(self, id: int) -> None: ...

    def prune(self, days: float) -> None:
        """Forget what is older."""
        ...


class Pins(Protocol):
    """What people want of the pools (of a unit of work)."""

    def get(self, pool: str) -> Pin | None:
        """The pool's pin, whether it has expired or not."""
        ...

    def set(self, pool: str, replicas: int, seconds: float, by: str) -> Pin: ...

    def remove(self, pool: str) -> bool:
        """Whether there was one."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerBeat:
    """What a worker says of itself. ``cpu``: 1.0 is all that it may use; ``jobs_per_second``: finished of late."""

    name: str
    queues: tuple[str, ...]
    concurrency: int
    running: int
    jobs_done: int
    jobs_per_second: float
    cpu: float
    draining: bool = False


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker, and when it was heard of first and last."""

    beat: WorkerBeat
    started_at: datetime
    seen_at: datetime


class Workers(Protocol):
    """The workers that tell of themselves (of a unit of work)."""

    def beat(self, beat: WorkerBeat) -> None: ...

    def remove(self, name: str) -> None: ...

    def alive(self) -> Sequence[WorkerRow]:
        """Those that were heard of within the last seconds, by name."""
        ...
