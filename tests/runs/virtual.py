"""An emission in virtual time: the clock moves while the sender is waited for; nothing depends on the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from app.domain.arrival import Arrival
from app.domain.destination import Hl7Destination
from app.domain.event import RUN_LOAD, Event, RecordedEvent
from app.domain.pacing import Pacing
from app.domain.run import Run, RunState
from app.domain.schedule import schedule_of
from app.ports import OrderOutcome, OutboundOrder
from app.runs.jobs import JobBuilder
from app.runs.producing.emit import Emitter, Gate
from app.runs.producing.lease import Lease
from app.runs.producing.notes import Notes
from app.runs.producing.receiver import ReceiverWatch
from app.runs.producing.timing import Timekeeper
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold
from app.runs.reading.summary import SummaryFold
from app.runs.start import template_of
from tests.runs.conftest import STEPS, World
from tests.runs.fakes import ACCEPTED


@dataclass
class VirtualClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class VirtualReceiver:
    """One connection to a receiver that takes ``seconds(number)`` for each order; an :class:`app.ports.OrderSender`."""

    clock: VirtualClock
    seconds: Callable[[int], float]
    _free_at: float = 0.0
    _line: list[tuple[float, OrderOutcome]] = field(default_factory=list)  # when each is answered, in order

    def submit(self, order: OutboundOrder) -> None:
        start, took = max(self.clock.now, self._free_at), self.seconds(order.number)
        self._free_at = start + took
        wait = start - self.clock.now
        times = {"ack_seconds": took, "total_seconds": took, "wait_seconds": wait}
        self._line.append((self._free_at, replace(ACCEPTED, number=order.number, **times)))

    def completed(self, timeout: float) -> list[OrderOutcome]:
        following = self._line[0][0] if self._line else float("inf")
        self.clock.now = max(self.clock.now, min(following, self.clock.now + timeout))
        done = [outcome for at, outcome in self._line if at <= self.clock.now]
        del self._line[: len(done)]
        return done

    def withdraw(self) -> list[int]:
        waiting = [(at, outcome) for at, outcome in self._line if at - outcome.total_seconds > self.clock.now]
        self._line = self._line[: len(self._line) - len(waiting)]
        self._free_at = self._line[-1][0] if self._line else self.clock.now
        return [outcome.number for _, outcome in waiting]

    def close(self) -> None:
        pass


class SlowBuilder(JobBuilder):
    """A generator that takes its time for each order."""

    def __init__(self, run: Run, clock: VirtualClock, seconds: float) -> None:
        super().__init__(run, template_of(run), "jobs")
        self._clock, self._seconds = clock, seconds

    def order(self, number: int) -> Any:
        self._clock.now += self._seconds
        return super().order(number)


@dataclass
class Emission:
    """The orders of a run, emitted in virtual time; what its events come to is in ``fold``."""

    world: World
    run: Run
    clock: VirtualClock
    times: Timekeeper
    builder: JobBuilder
    emitter: Emitter
    fold: SummaryFold = field(default_factory=lambda: Folds(ProgressFold(0)).summary)
    measured: dict[str, Any] = field(default_factory=dict)  # what a run.load event says of it

    def emit(self, in_doubt: Sequence[int] = (), gate: Callable[[], Gate] = lambda: Gate.OPEN) -> None:
        self.emitter.emit(in_doubt, iter(range(len(in_doubt), self.run.requested)), gate)
        for recorded in self.world.events(self.run):
            self.fold.apply(recorded)
        self.measured = self.times.load(self.run.requested)
        self.fold.apply(RecordedEvent("", recorded.at, Event(self.run.id, RUN_LOAD, data=self.measured)))

    @property
    def summary(self) -> dict[str, Any]:
        return self.fold.summary(self.run, 1.0)

    @property
    def ack_seconds(self) -> list[float]:
        """What a generator would have seen that looks at transmissions only."""
        return sorted(event.event.data["ack_seconds"] for event in self.world.events(self.run, "step.succeeded"))


@contextmanager
def emission(
    world: World,
    seconds: Callable[[int], float],
    orders: int,
    arrival: dict[str, Any],
    generator_seconds: float = 0.0,
    elapsed: float = 0.0,
) -> Iterator[Emission]:
    """``seconds``: how long the receiver takes for an order; ``generator_seconds``: how long we take to make one."""
    run = world.start(orders=orders, steps=STEPS[:1], arrival=arrival, hl7={"connections": 1})
    clock, model = VirtualClock(), Arrival(**arrival)
    pacing = Pacing(schedule_of(model, 1, run.base_time), clock, elapsed, None if model.is_open else model.duration)
    times = Timekeeper(pacing, model.is_open, clock, cpu=lambda: 0.0)
    with Lease(world.database, run.id, 60.0) as lease:
        lease.write(lambda work: work.runs.move(run.id, RunState.RUNNING))
        destination = Hl7Destination(host="127.0.0.1", port=world.hl7_port)
        watch = ReceiverWatch(destination, lease, Notes(lease, lambda text: None), 1.0, clock)
        builder = SlowBuilder(run, clock, generator_seconds)
        emitter = Emitter(run, template_of(run), builder, VirtualReceiver(clock, seconds), lease, watch, times)
        yield Emission(world, run, clock, times, builder, emitter)
