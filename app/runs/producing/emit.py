"""Emission: plan an order, write the intent, send it, check its ACK, write what follows. Never waits for downstream.

In groups: the intents of up to 200 orders in one transaction before they are sent, and the outcomes of those that were
answered in one transaction with their steps, events and outbox rows. So no order is sent without a trace, and no job
exists without an acknowledged order. Where orders are sent as fast as they are answered, a group is waited for; where
each has its due time, none waits longer than a moment.

An order is pending, in flight, or has its outcome. One that could not be sent, because its receiver is away or the run
is paused, is pending again; whether a transmission of it has been begun before is remembered in its tally.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum, auto
from itertools import chain, islice, takewhile

from app.domain.order import Order
from app.domain.run import Run, RunState
from app.domain.template import Template
from app.domain.work import JobReference
from app.hl7.orm import OrmRenderer
from app.ports import OrderOutcome, OrderSender, OutboundOrder, UnitOfWork
from app.runs.jobs import JobBuilder
from app.runs.producing.lease import Lease
from app.runs.producing.outcomes import TAKEN_OVER, EmissionRecord, Tally, given_up, intent, write_records
from app.runs.producing.receiver import ReceiverWatch
from app.runs.producing.spans import ProducerSpans
from app.runs.producing.timing import Timekeeper

GROUP = 200  # orders that share a transaction, at most
OUTCOME_DELAY = 0.025  # seconds an outcome may wait for its group
BUSY_OUTCOME_DELAY = 0.1  # the same while there is more to be sent than may be begun
IN_FLIGHT_PER_CONNECTION = 32
WITH_DUE_TIMES = 100  # orders in flight, at least, where each has its due time
POLL = 0.02
LEAVING_GRACE = 10.0  # seconds for the acknowledgements that are still to come when the run is left to others


class Gate(Enum):
    """What the emission may do now."""

    OPEN = auto()
    HELD = auto()  # the run is paused: begin nothing
    CLOSED = auto()  # the run is being cancelled: what has not left is not sent any more
    LEAVING = auto()  # the next producer goes on: as above, but nothing is given up


class Emitter:
    """Emits the orders of one run; single-threaded."""

    def __init__(
        self,
        run: Run,
        template: Template,
        builder: JobBuilder,
        sender: OrderSender,
        lease: Lease,
        receiver: ReceiverWatch,
        times: Timekeeper,
        spans: ProducerSpans | None = None,
        on_jobs: Callable[[], None] = lambda: None,
    ) -> None:
        """``spans``: None without tracing. ``on_jobs`` is called when jobs have been written."""
        self._run = run
        self._types = tuple(step.type for step in template.steps)
        self._builder = builder
        self._sender = sender
        self._lease = lease
        self._receiver = receiver
        self._times = times
        self._spans = spans
        self._on_jobs = on_jobs
        self._pacing = times.pacing
        self._renderer = OrmRenderer(template.hl7)
        connections = template.destinations.hl7.connections if template.destinations.hl7 else 1
        least = WITH_DUE_TIMES if times.is_open else 2 * GROUP
        self._window = max(least, connections * IN_FLIGHT_PER_CONNECTION)
        self._numbers: Iterator[int] = iter(())  # that are still to come
        self._pending: list[int] = []
        self._in_flight: dict[int, Order] = {}
        self._tallies: dict[int, Tally] = {}
        self._outcomes: list[OrderOutcome] = []
        self._oldest_outcome = 0.0
        self._is_held = False
        self._is_over = False
        self._leave_by: float | None = None
        self.unreachable = ""  # why the receiver was given up, which stops the run

    def emit(self, in_doubt: Sequence[int], numbers: Iterator[int], gate: Callable[[], Gate]) -> None:
        """Emit these orders, each when the pacing has it due; ends when every one sent has its outcome.

        ``in_doubt`` were begun by another producer: they are sent first, under the same control ID.
        """
        self._tallies = dict.fromkeys(in_doubt, TAKEN_OVER)
        self._numbers = chain(in_doubt, numbers)
        self._fill()
        while self._pending or self._in_flight or self._outcomes:
            match gate():
                case Gate.OPEN:
                    self._go_on()
                case Gate.HELD:
                    self._hold()
                case Gate.CLOSED:
                    self._stop()
                case Gate.LEAVING:
                    self._leave()
                    if self._leave_by is not None and self._times.clock() >= self._leave_by:
                        return
            self._collect()
            self._fill()

    # --- what is to be sent ---

    @property
    def _room(self) -> int:
        """How many orders may be begun now; without due times, a whole group or none."""
        room = max(self._window - len(self._in_flight), 0)
        if room < GROUP and not self._times.is_open:
            return 0
        return min(room, GROUP)

    def _fill(self) -> None:
        """One more order is looked at even where there is no room: whether it is due tells whether that matters."""
        self._pending += islice(self._numbers, max(max(self._room, 1) - len(self._pending), 0))

    def _patience(self) -> float:
        if self._is_held or self._receiver.is_away or not self._pending or not self._room:
            return POLL
        return min(POLL, max(self._pacing.due_in(self._pending[0]), 0.0))

    @property
    def _is_blocked(self) -> bool:
        """Whether an order is due that can't be begun, because earlier ones are not acknowledged."""
        must_wait = not self._is_held and (self._receiver.is_away or not self._room)
        return must_wait and bool(self._pending) and self._pacing.due_in(self._pending[0]) <= 0

    def _go_on(self) -> None:
        if self._is_held:
            self._is_held = False
            self._receiver.wait_anew()
            self._times.go_on()
        if self._pacing.is_over:
            self._begin_no_more()
        if self._receiver.is_given_up:
            self.unreachable = self._receiver.reason
            self._stop()
        elif self._receiver.is_away:
            number = self._receiver.question(self._pending)
            if number is not None and self._begin([number]):
                self._pending.remove(number)
                self._receiver.asked_with(number)
        else:
            due = list(takewhile(lambda number: self._pacing.due_in(number) <= 0, self._pending[: self._room]))
            if due and self._begin(due):
                del self._pending[: len(due)]

    def _begin(self, numbers: Sequence[int]) -> bool:
        """Whether these are on their way now: nothing is begun after the run was paused or cancelled."""
        orders = [self._builder.order(number) for number in numbers]
        messages = [self._renderer.render(order) for order in orders]
        intents = [intent(order) for order in orders]
        self._times.begin(numbers)

        def write(work: UnitOfWork, state: RunState) -> bool:
            if state is not RunState.RUNNING:
                return False
            work.orders.begin(self._run.id, intents)
            return True

        if not self._lease.write_knowing(write):
            return False
        if self._spans is not None:
            self._spans.begin(numbers)
        for order, message in zip(orders, messages, strict=True):
            self._in_flight[order.number] = order
            self._times.hand_over(order.number)
            self._sender.submit(OutboundOrder(order.number, order.control_id, order.patient.patient_id, message))
        return True

    # --- what is not to be sent, or not now ---

    def _hold(self) -> None:
        if not self._is_held:
            self._is_held = True
            self._times.hold()
            self._put_back(self._withdraw())

    def _leave(self) -> None:
        if self._leave_by is None:
            self._leave_by = self._times.clock() + LEAVING_GRACE
        self._numbers = iter(())
        self._put_back(self._withdraw())
        self._pending.clear()

    def _begin_no_more(self) -> None:
        """The duration of the run is over: of what has not left, only what its receiver may have is sent still."""
        withdrawn = [] if self._is_over else self._withdraw()
        if not self._is_over:
            self._is_over = True
            self._numbers = filter(self._tallies.__contains__, self._numbers)
        self._put_back(withdrawn)
        self._pending = [number for number in self._pending if number in self._tallies]

    def _stop(self) -> None:
        """Nothing more is sent: what may have left ends here, and the rest was never emitted."""
        self._numbers = iter(())
        self._put_back(self._withdraw())
        unsent = {number: tally for number, tally in self._tallies.items() if number not in self._in_flight}
        self._pending.clear()
        if unsent:
            self._write_outcomes([given_up(number, tally) for number, tally in unsent.items()])

    def _withdraw(self) -> list[int]:
        """What the sender has not begun to transmit."""
        numbers = [number for number in self._sender.withdraw() if self._in_flight.pop(number, None)]
        self._receiver.taken_back(numbers)
        return numbers

    def _put_back(self, numbers: Sequence[int]) -> None:
        """Pending again; the rows of all that never left are removed, so that they count as not emitted."""
        self._pending = sorted([*numbers, *self._pending])
        never_left = [number for number in self._pending if number not in self._tallies]
        if never_left:
            self._lease.write(lambda work: work.orders.forget(self._run.id, never_left))
            self._times.forget(never_left)

    # --- what became of it ---

    def _collect(self) -> None:
        is_blocked, since = self._is_blocked, self._times.clock()
        fresh = self._sender.completed(self._patience())
        if is_blocked:
            self._times.blocked(since)
        if fresh and not self._outcomes:
            self._oldest_outcome = self._times.clock()
        self._outcomes += fresh
        full = len(self._outcomes) >= GROUP
        delay = BUSY_OUTCOME_DELAY if self._pending and not self._times.is_open else OUTCOME_DELAY
        waited = self._outcomes and self._times.clock() - self._oldest_outcome >= delay
        last = self._outcomes and len(self._outcomes) >= len(self._in_flight)
        if full or waited or last:
            outcomes, self._outcomes = self._outcomes, []
            self._take(outcomes)

    def _take(self, outcomes: list[OrderOutcome]) -> None:
        reached = [outcome for outcome in outcomes if outcome.verdict != "unreachable"]
        unreached = [outcome for outcome in outcomes if outcome.verdict == "unreachable"]
        if reached:
            self._write_outcomes([self._total(outcome) for outcome in reached])
            self._receiver.heard_of(reached)
        if unreached:
            for outcome in unreached:
                del self._in_flight[outcome.number]
                if outcome.attempts:
                    self._tallies[outcome.number] = self._tally(outcome.number).with_(outcome)
            self._pending = sorted([*(outcome.number for outcome in unreached), *self._pending])
            self._receiver.could_not_be_reached(unreached)

    def _total(self, outcome: OrderOutcome) -> OrderOutcome:
        before = self._tallies.get(outcome.number)
        return outcome if before is None else before.total(outcome)

    def _tally(self, number: int) -> Tally:
        return self._tallies.get(number, Tally())

    def _write_outcomes(self, outcomes: Sequence[OrderOutcome]) -> None:
        records = [self._record(outcome) for outcome in outcomes]

        self._lease.write(lambda work: write_records(work, self._run.id, records))
        self._on_jobs()
        if self._spans is not None:
            self._spans.emitted(outcomes)
        for outcome in outcomes:
            self._in_flight.pop(outcome.number, None)
            self._tallies.pop(outcome.number, None)

    def _record(self, outcome: OrderOutcome) -> EmissionRecord:
        entry = None
        if outcome.verdict == "accepted" and self._builder.has_jobs:
            entry = self._builder.entry(JobReference(outcome.number, 1, self._run.epoch, starts=0))
            self._builder.keep(self._in_flight[outcome.number])
        return EmissionRecord(self._run, self._types, outcome, entry, self._times.take(outcome.number))
