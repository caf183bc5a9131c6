"""Emission: plan an order, write the intent, send it, check its ACK, write what follows. Never waits for downstream.

In groups: the intents of up to 100 orders in one transaction before they are sent, and the outcomes of those that were
answered in one transaction with their steps, events and outbox rows. So no order is sent without a trace, and no job
exists without an acknowledged order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.dicom.person_name import to_pn
from app.domain.event import ORDER_COMPLETED, ORDER_FAILED, STEP_CANCELLED, STEP_FAILED, STEP_SUCCEEDED, Event
from app.domain.job import Job, SlipEntry, job_id
from app.domain.order import Order
from app.domain.pacing import Pacing
from app.domain.planning import OrderPlanner
from app.domain.run import OrderState, Run, StepState
from app.domain.template import Template, step_queue
from app.domain.work import NewStep, OrderAcknowledged, OrderIntent, OutboxEntry
from app.hl7.orm import OrmRenderer
from app.ports import Database, OrderOutcome, OrderSender, OutboundOrder, UnitOfWork
from app.runs.patience import in_transaction

INTENT_GROUP = 100
OUTCOME_GROUP = 200
OUTCOME_DELAY = 0.025  # seconds an outcome may wait for its group
IN_FLIGHT_PER_CONNECTION = 32
POLL = 0.02


@dataclass(slots=True)
class Emission:
    """How the emission ended. ``unreachable``: why the destination could not be reached, which stops the run."""

    emitted: int = 0
    unreachable: str = ""
    ack_senders: set[str] = field(default_factory=set)  # MSH-3 of the acknowledgements


class Emitter:
    """Emits the orders of one run; single-threaded."""

    def __init__(self, run: Run, template: Template, sender: OrderSender, database: Database, order_queue: str) -> None:
        self._run = run
        self._template = template
        self._sender = sender
        self._database = database
        self._planner = OrderPlanner(template, run.seed, run.run_key, run.base_time)
        self._renderer = OrmRenderer(template.hl7)
        self._queues = [step_queue(template, index, order_queue) for index in range(len(template.steps))]
        connections = template.destinations.hl7.connections if template.destinations.hl7 else 1
        self._window = max(INTENT_GROUP, connections * IN_FLIGHT_PER_CONNECTION)
        self._in_flight: dict[int, Order] = {}
        self._outcomes: list[OrderOutcome] = []
        self._oldest_outcome = 0.0
        self.result = Emission()

    def emit(self, numbers: Iterator[int], pacing: Pacing, should_stop: Callable[[], bool]) -> Emission:
        """Emit these orders, each when the pacing has it due; ends when every one sent has its outcome."""
        pending: list[int] = []
        exhausted = False
        while not (exhausted and not pending and not self._in_flight and not self._outcomes):
            if should_stop() or self.result.unreachable:
                self._withdraw()
                pending, exhausted = [], True
            room = min(self._window - len(self._in_flight), INTENT_GROUP) - len(pending)
            while not exhausted and room > 0:
                number = next(numbers, None)
                exhausted = number is None
                if number is not None:
                    pending.append(number)
                    room -= 1
            due = [number for number in pending if pacing.due_in(number) <= 0]
            if due:
                self._begin(due)
                pending = pending[len(due) :]
            self._collect(self._patience(pending, pacing))
        return self.result

    def _patience(self, pending: list[int], pacing: Pacing) -> float:
        next_due = max(pacing.due_in(pending[0]), 0.0) if pending else POLL
        return min(POLL, next_due)

    def _begin(self, numbers: Sequence[int]) -> None:
        orders = [self._planner.order(number) for number in numbers]
        messages = [self._renderer.render(order) for order in orders]
        intents = [_intent(order) for order in orders]
        in_transaction(self._database, lambda work: work.orders.begin(self._run.id, intents))
        for order, message in zip(orders, messages, strict=True):
            self._in_flight[order.number] = order
            self._sender.submit(OutboundOrder(order.number, order.control_id, order.patient.patient_id, message))

    def _collect(self, patience: float) -> None:
        fresh = self._sender.completed(patience) if self._in_flight or patience else []
        if fresh and not self._outcomes:
            self._oldest_outcome = time.monotonic()
        self._outcomes += fresh
        full = len(self._outcomes) >= OUTCOME_GROUP
        waited = self._outcomes and time.monotonic() - self._oldest_outcome >= OUTCOME_DELAY
        last = self._outcomes and len(self._outcomes) >= len(self._in_flight)
        if full or waited or last:
            self._record(self._outcomes)
            self._outcomes = []

    def _withdraw(self) -> None:
        withdrawn = [number for number in self._sender.withdraw() if self._in_flight.pop(number, None)]
        if withdrawn:
            in_transaction(self._database, lambda work: work.orders.forget(self._run.id, withdrawn))

    def _record(self, outcomes: list[OrderOutcome]) -> None:
        orders = {outcome.number: self._in_flight.pop(outcome.number) for outcome in outcomes}
        never_left = [outcome for outcome in outcomes if outcome.attempts == 0]
        answered = [outcome for outcome in outcomes if outcome.attempts > 0]
        records = [_Record(self, orders[outcome.number], outcome) for outcome in answered]

        def write(work: UnitOfWork) -> None:
            steps = [step for record in records for step in record.steps]
            fresh = work.orders.acknowledge(self._run.id, [record.acknowledged for record in records], steps)
            new = [record for record in records if record.acknowledged.number in fresh]
            work.journal.append([event for record in new for event in record.events])
            work.outbox.put([record.entry for record in new if record.entry is not None])
            work.orders.forget(self._run.id, [outcome.number for outcome in never_left])

        in_transaction(self._database, write)
        self.result.emitted += len(answered)
        self.result.ack_senders |= {outcome.sender for outcome in answered if outcome.verdict == "accepted"}
        if never_left and not self.result.unreachable:
            self.result.unreachable = never_left[0].reason

    def job_of(self, order: Order) -> Job | None:
        """The job that follows the acknowledged order: all steps behind GENERATE_HL7."""
        slip = tuple(
            SlipEntry(index, step.type, self._queues[index], step.parameters, step.timeout)
            for index, step in enumerate(self._template.steps)
            if index > 0
        )
        if not slip:
            return None
        dicom = self._template.destinations.dicom
        return Job(
            id=job_id(self._run.id, order.number, slip[0].index, self._run.epoch),
            run_id=self._run.id,
            run_key=self._run.run_key,
            order_number=order.number,
            epoch=self._run.epoch,
            slip=slip,
            patient_context=order.patient_context,
            order_context=order.order_context,
            dicom=dicom.model_dump(mode="json") if dicom else {},
            template={
                "id": self._run.template_id,
                "name": self._run.template_name,
                "version": self._run.template_version,
            },
        )

    @property
    def run(self) -> Run:
        return self._run

    @property
    def step_types(self) -> list[str]:
        return [step.type for step in self._template.steps]


class _Record:
    """The rows that one outcome leads to."""

    def __init__(self, emitter: Emitter, order: Order, outcome: OrderOutcome) -> None:
        self._run_id = emitter.run.id
        self._epoch = emitter.run.epoch
        self._number = order.number
        accepted = outcome.verdict == "accepted"
        job = emitter.job_of(order) if accepted else None
        state = OrderState.WAITING if job else OrderState.COMPLETED if accepted else OrderState.FAILED
        reason = "" if accepted else f"GENERATE_HL7: {outcome.reason or outcome.code}"
        self.acknowledged = OrderAcknowledged(
            order.number,
            state,
            outcome.code,
            outcome.acknowledgement.decode("latin-1").replace("\x00", ""),
            outcome.possibly_duplicated,
            reason,
        )
        self.entry = OutboxEntry(job) if job else None
        self.steps = self._steps(emitter.step_types, accepted, reason)
        self.events = self._events(outcome, emitter.step_types, state, reason)

    def _steps(self, types: list[str], accepted: bool, reason: str) -> list[NewStep]:
        sent = StepState.SUCCEEDED if accepted else StepState.FAILED
        steps = [NewStep(self._number, 0, types[0], sent, starts=1, error=reason)]
        for index, type_ in enumerate(types[1:], start=1):
            waiting = StepState.READY if index == 1 else StepState.PENDING
            steps.append(NewStep(self._number, index, type_, waiting if accepted else StepState.CANCELLED))
        return steps

    def _events(self, outcome: OrderOutcome, types: list[str], state: OrderState, reason: str) -> list[Event]:
        data: dict[str, Any] = {
            "type": types[0],
            "seconds": round(outcome.ack_seconds, 6),
            "verdict": outcome.verdict,
            "code": outcome.code,
            "attempts": outcome.attempts,
            "timeouts": outcome.timeouts,
            "errors": outcome.errors,
            "possibly_duplicated": outcome.possibly_duplicated,
            "ack_seconds": round(outcome.ack_seconds, 6),
        }
        if state is OrderState.FAILED:
            failed = self._event(STEP_FAILED, 0, data | {"reason": reason})
            cancelled = [self._event(STEP_CANCELLED, i, {"type": types[i]}) for i in range(1, len(types))]
            order = self._event(ORDER_FAILED, None, {"seconds": data["seconds"], "reason": reason})
            return [failed, *cancelled, order]
        events = [self._event(STEP_SUCCEEDED, 0, data)]
        if state is OrderState.COMPLETED:
            events.append(self._event(ORDER_COMPLETED, None, {"seconds": data["seconds"]}))
        return events

    def _event(self, kind: str, step_index: int | None, data: dict[str, Any]) -> Event:
        starts = 1 if step_index == 0 else 0
        return Event(self._run_id, kind, self._number, step_index, starts, self._epoch, data)


def _intent(order: Order) -> OrderIntent:
    patient = order.patient
    return OrderIntent(
        number=order.number,
        accession=order.accession,
        control_id=order.control_id,
        patient_id=patient.patient_id,
        patient_name=to_pn(patient.name),
        birth_date=patient.birth_date.strftime("%Y%m%d") if patient.birth_date else "",
        sex=patient.sex,
        modality=order.study.modality,
        study_uid=order.study_uid,
        instances=order.study.instances,
    )
