"""Fakes of the ports, for the run's logic: they answer as they are told, and remember what they were asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import NotAnswerable, NotFound, Unavailable
from app.domain.study import ArchivedStudy, EncodedInstance, ReceivedOrder
from app.ports import OrderOutcome, OutboundOrder, Step, StepContext, StepResult

ACCEPTED = OrderOutcome(
    number=0,
    verdict="accepted",
    code="AA",
    reason="",
    acknowledgement=b"MSH|^~\\&|RIS\rMSA|AA|x",
    sender="RIS",
    attempts=1,
    timeouts=0,
    errors=0,
    possibly_duplicated=False,
    ack_seconds=0.001,
    wait_seconds=0.0,
    total_seconds=0.001,
)
REJECTED = replace(ACCEPTED, verdict="rejected", code="AR", reason="AR: not here")
UNREACHABLE = replace(
    ACCEPTED, verdict="unreachable", code="", reason="connection refused", attempts=0, acknowledgement=b"", sender=""
)


@dataclass
class FakeOrderSender:
    """Answers each order as ``answer`` says; None leaves it waiting until it is withdrawn."""

    answer: Callable[[OutboundOrder], OrderOutcome | None] = lambda order: ACCEPTED
    sent: list[OutboundOrder] = field(default_factory=list)
    closed: bool = False
    _waiting: list[OutboundOrder] = field(default_factory=list)
    _done: list[OrderOutcome] = field(default_factory=list)

    def submit(self, order: OutboundOrder) -> None:
        outcome = self.answer(order)
        if outcome is None:
            self._waiting.append(order)
            return
        if outcome.attempts:
            self.sent.append(order)
        self._done.append(replace(outcome, number=order.number))

    def completed(self, timeout: float) -> list[OrderOutcome]:
        if not self._done:
            time.sleep(timeout)
        done, self._done = self._done, []
        return done

    def withdraw(self) -> list[int]:
        waiting, self._waiting = self._waiting, []
        return [order.number for order in waiting]

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeStep:
    """Does what ``act`` does."""

    act: Callable[[StepContext], StepResult] = lambda context: StepResult()
    ran: list[int] = field(default_factory=list)

    def check(self, parameters: dict[str, object]) -> None:
        pass

    def run(self, context: StepContext) -> StepResult:
        self.ran.append(context.order.number)
        return self.act(context)


@dataclass
class FakeSteps:
    """A source of steps."""

    steps: dict[str, FakeStep]

    def step(self, type_: str) -> Step:
        return self.steps[type_]

    def uses_archive(self, type_: str) -> bool:
        return type_ in ("SEND_DICOM", "VERIFY")


def generated(context: StepContext) -> StepResult:
    return StepResult({"instances": context.order.study.instances, "bytes": 100})


def stored(context: StepContext) -> StepResult:
    count = context.order.study.instances
    data = {"stored": count, "warnings": 0, "already_there": 0, "bytes": 100, "c_store": [0.001] * count}
    return StepResult(data, instances_stored=count)


@dataclass
class FakeStudyStore:
    removed: list[tuple[str, int | None]] = field(default_factory=list)

    def write(self, run_id: str, order_number: int, instances: Iterable[EncodedInstance]) -> tuple[int, int]:
        kept = list(instances)
        return len(kept), sum(len(instance.data) for instance in kept)

    def read(self, run_id: str, order_number: int) -> Iterator[EncodedInstance]:
        raise NotFound("no study")

    def remove(self, run_id: str, order_number: int | None = None) -> None:
        self.removed.append((run_id, order_number))

    def free_bytes(self) -> int:
        return 1 << 40


@dataclass
class FakeArchive:
    """Has ``found``; None: can't be asked. ``down``: why it can't be reached."""

    found: list[ArchivedStudy] | None = None
    down: str = ""
    asked: int = 0

    def echo(self, destination: DicomDestination) -> None:
        if self.down:
            raise Unavailable(self.down)

    def studies(self, destination: DicomDestination, run_key: str, orders: int) -> Iterator[ArchivedStudy]:
        self.asked += 1
        if self.down:
            raise Unavailable(self.down)
        if self.found is None:
            raise NotAnswerable("it offers no C-FIND")
        return iter(self.found)


@dataclass
class FakeLedger:
    found: list[ReceivedOrder] | None = None

    def received(self, destination: Hl7Destination, run_key: str) -> Iterator[ReceivedOrder]:
        if self.found is None:
            raise NotAnswerable("it keeps no ledger")
        return iter(self.found)
