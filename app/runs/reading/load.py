"""The load that a run put on its receiver: what was asked for, how late it came, and who held it back.

Latency of an open arrival model counts from the moment an order was due: a receiver that stalls holds back all orders
behind the one it stalls on, and their wait is its doing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from app.domain.arrival import Arrival
from app.domain.event import RUN_LOAD, RUN_STATE, RecordedEvent
from app.domain.run import Run, RunState
from app.runs.reading.clock import RunClock
from app.util.latency import Latency

LATE = 0.05  # seconds after its due time from which the start of an order counts as late
TOLERATED = 0.01  # share of late orders that says nothing about anybody
BUSY = 0.9  # of a processor core, from which the generator is held to be the limit
BLOCKED = 0.5  # share of a closed emission spent waiting for a full window, from which the receiver is

Limit = Literal["nothing", "system", "generator"]


class Limiter(NamedTuple):
    who: Limit
    reason: str


@dataclass(slots=True)
class LoadFold:
    """Folds ``run.load`` and ``run.state`` events, and what each sent order says of its timing."""

    clock: RunClock
    is_over: bool = False  # the emission ended with the duration of a closed model, not with the last order
    _offered: int | None = None
    _emission_seconds: float = 0.0
    _cpu_seconds: float = 0.0
    _blocked_seconds: float = 0.0
    _timed: int = 0  # orders that had a due time
    _late: int = 0
    _late_by_system: int = 0
    _running_since: datetime | None = None
    _ran: float = 0.0  # seconds in RUNNING, up to its last end

    def apply(self, recorded: RecordedEvent) -> None:
        if recorded.event.kind == RUN_STATE:
            self._state(RunState(recorded.event.data["state"]), recorded.at)
        elif recorded.event.kind == RUN_LOAD:
            self._emission(recorded.event.data)

    def _state(self, state: RunState, at: datetime) -> None:
        if self._running_since is not None:
            self._ran += (at - self._running_since).total_seconds()
        self._running_since = at if state is RunState.RUNNING else None

    def _emission(self, data: Mapping[str, Any]) -> None:
        """Of one producer: one that was killed wrote none, and those that followed each other add up."""
        self._emission_seconds += data["emission_seconds"]
        self._cpu_seconds += data["cpu_seconds"]
        self._blocked_seconds += data["blocked_seconds"]
        if data["offered"] is not None:
            self._offered = max(self._offered or 0, data["offered"])
        self.is_over |= data["is_over"]

    def sent(self, slip: float, wait: float, blocked: float) -> None:
        """An order started ``slip + wait`` seconds after it was due: ``blocked`` and ``wait`` for want of ACKs."""
        self._timed += 1
        if slip + wait > LATE:
            self._late += 1
            self._late_by_system += (blocked + wait) * 2 >= slip + wait

    @property
    def seconds(self) -> float:
        """How long the run has been RUNNING, to its latest event; without its pauses."""
        if self._running_since is None or self.clock.latest is None:
            return self._ran
        return self._ran + (self.clock.latest - self._running_since).total_seconds()

    @property
    def generator_cpu(self) -> float | None:
        """Processor time of the producer's process over the emission's, 1.0 is a whole core; None before its end."""
        return self._cpu_seconds / self._emission_seconds if self._emission_seconds > 0 else None

    def summary(self, run: Run, slip: Latency) -> dict[str, Any]:
        """The section ``load``; ``slip`` are the times between due and start."""
        arrival = Arrival.model_validate(run.document.get("arrival", {}))
        limiter = self._limiter(arrival)
        cpu = self.generator_cpu
        return {
            "model": arrival.model,
            "target_rate": None if arrival.target_rate is None else round(arrival.target_rate, 6),
            "offered": self._offered,
            "late": self._late if arrival.is_open else None,
            "slip_p95": slip.summary().get("p95"),
            "generator_cpu": None if cpu is None else round(cpu, 3),
            "limited_by": limiter.who,
            "reason": limiter.reason,
        }

    def _limiter(self, arrival: Arrival) -> Limiter:
        busy = (self.generator_cpu or 0.0) >= BUSY
        core = f"its producer took {self.generator_cpu or 0.0:.0%} of a processor core"
        if not arrival.is_open:
            return self._limiter_of_closed(busy, core)
        said = f"{self._late} of {self._timed} orders started more than {LATE * 1000:.0f} ms after they were due"
        if self._late <= TOLERATED * self._timed:
            return Limiter("nothing", said)
        if busy:
            return Limiter("generator", f"{said}, and {core}")
        if self._late_by_system * 2 >= self._late:
            return Limiter("system", f"{said}, held up by earlier ones that were not yet acknowledged")
        return Limiter("generator", f"{said}, though the receiver kept up: this machine or its database is too slow")

    def _limiter_of_closed(self, busy: bool, core: str) -> Limiter:
        if busy:
            return Limiter("generator", f"{core}; the receiver may be able to take more")
        blocked = self._blocked_seconds / self._emission_seconds if self._emission_seconds else 0.0
        if blocked >= BLOCKED:
            return Limiter("system", f"{blocked:.0%} of the emission was spent waiting for acknowledgements")
        return Limiter("nothing", "neither the receiver nor the producer was clearly the slower one")
