"""What follows from how the sending of an order ended: its rows, its events and its job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from app.dicom.person_name import to_pn
from app.domain.event import ORDER_COMPLETED, ORDER_FAILED, STEP_CANCELLED, STEP_FAILED, STEP_SUCCEEDED, Event
from app.domain.order import Order
from app.domain.records import record
from app.domain.run import OrderState, Run, StepState
from app.domain.work import NewStep, OrderAcknowledged, OrderIntent, OutboxEntry
from app.ports import OrderOutcome, UnitOfWork
from app.runs.producing.timing import Timing


@record(frozen=True, slots=True)
class Tally:
    """What became of an order's transmissions before the present one.

    An order that another producer began counts as transmitted once: nobody knows, and so it may be there.
    """

    attempts: int = 0
    timeouts: int = 0
    errors: int = 0
    reason: str = ""

    @property
    def in_doubt(self) -> bool:
        """Whether the outcome of one of them is unknown, so that the receiver may have the order already."""
        return self.attempts > self.errors

    def with_(self, outcome: OrderOutcome) -> Tally:
        """This outcome counted in; the order is sent again."""
        total = self.total(outcome)
        return Tally(total.attempts, total.timeouts, total.errors, total.reason)

    def total(self, outcome: OrderOutcome) -> OrderOutcome:
        """The outcome of the last transmission, with those before it counted in."""
        return replace(
            outcome,
            attempts=self.attempts + outcome.attempts,
            timeouts=self.timeouts + outcome.timeouts,
            errors=self.errors + outcome.errors,
            possibly_duplicated=outcome.possibly_duplicated or (outcome.attempts > 0 and self.in_doubt),
        )


TAKEN_OVER = Tally(attempts=1, reason="outcome unknown: its producer ended before it was acknowledged")


def given_up(number: int, tally: Tally) -> OrderOutcome:
    """The outcome of an order that is not sent again, though its receiver may have it."""
    return OrderOutcome(
        number=number,
        verdict="unknown" if tally.in_doubt else "error",
        code="",
        reason=tally.reason,
        acknowledgement=b"",
        sender="",
        attempts=tally.attempts,
        timeouts=tally.timeouts,
        errors=tally.errors,
        possibly_duplicated=False,
        ack_seconds=0.0,
        wait_seconds=0.0,
        total_seconds=0.0,
    )


class EmissionRecord:
    """The rows that one outcome leads to; ``entry`` is what follows if it was accepted (None: nothing does)."""

    def __init__(
        self, run: Run, types: tuple[str, ...], outcome: OrderOutcome, entry: OutboxEntry | None, timing: Timing
    ) -> None:
        self._run = run
        self._types = types
        self._number = outcome.number
        accepted = outcome.verdict == "accepted"
        state = OrderState.FAILED if not accepted else OrderState.WAITING if entry else OrderState.COMPLETED
        reason = "" if accepted else f"{types[0]}: {outcome.reason or outcome.code}"
        self.acknowledged = OrderAcknowledged(
            outcome.number,
            state,
            outcome.code,
            outcome.acknowledgement.decode("latin-1").replace("\x00", ""),
            outcome.possibly_duplicated,
            reason,
            _steps(types, accepted),
        )
        self.entry = entry if accepted else None
        self.events = self._events(outcome, state, reason, timing)

    def _events(self, outcome: OrderOutcome, state: OrderState, reason: str, timing: Timing) -> list[Event]:
        types = self._types
        data: dict[str, Any] = {
            "type": types[0],
            "seconds": round(outcome.total_seconds, 6),
            "verdict": outcome.verdict,
            "code": outcome.code,
            "attempts": outcome.attempts,
            "timeouts": outcome.timeouts,
            "errors": outcome.errors,
            "possibly_duplicated": outcome.possibly_duplicated,
            "ack_seconds": round(outcome.ack_seconds, 6),
            "begin_seconds": round(timing.begin_seconds, 6),
            "wait_seconds": round(outcome.wait_seconds, 6),
        }
        if timing.slip_seconds is not None:
            data["slip_seconds"] = round(timing.slip_seconds, 6)
            data["blocked_seconds"] = round(timing.blocked_seconds, 6)
        age = round(timing.begin_seconds + outcome.wait_seconds + outcome.total_seconds, 6)
        if state is OrderState.FAILED:
            failed = self._event(STEP_FAILED, 0, data | {"reason": reason})
            cancelled = [self._event(STEP_CANCELLED, i, {"type": types[i]}) for i in range(1, len(types))]
            order = self._event(ORDER_FAILED, None, {"seconds": age, "reason": reason})
            return [failed, *cancelled, order]
        events = [self._event(STEP_SUCCEEDED, 0, data)]
        if state is OrderState.COMPLETED:
            events.append(self._event(ORDER_COMPLETED, None, {"seconds": age}))
        return events

    def _event(self, kind: str, step_index: int | None, data: dict[str, Any]) -> Event:
        starts = 1 if step_index == 0 else 0
        return Event(self._run.id, kind, self._number, step_index, starts, self._run.epoch, data)


@lru_cache(maxsize=256)
def _steps(types: tuple[str, ...], accepted: bool) -> tuple[NewStep, ...]:
    """The steps of an order, the same ones for all that ended so."""
    steps = [NewStep(0, types[0], StepState.SUCCEEDED if accepted else StepState.FAILED, starts=1)]
    for index, type_ in enumerate(types[1:], start=1):
        waiting = StepState.READY if index == 1 else StepState.PENDING
        steps.append(NewStep(index, type_, waiting if accepted else StepState.CANCELLED))
    return tuple(steps)


def intent(order: Order) -> OrderIntent:
    """What is written before the order is sent."""
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


def write_records(work: UnitOfWork, run_id: str, records: Sequence[EmissionRecord]) -> None:
    """Write what follows from these; nothing for an order that was written before."""
    fresh = work.orders.acknowledge(run_id, [record.acknowledged for record in records])
    new = [record for record in records if record.acknowledged.number in fresh]
    work.journal.append([event for record in new for event in record.events])
    work.outbox.put([record.entry for record in new if record.entry is not None])


def end_in_doubt(work: UnitOfWork, run: Run, types: tuple[str, ...]) -> int:
    """End the orders whose outcome nobody will learn any more, as FAILED; how many there were."""
    numbers = [number for number, is_sending in work.orders.begun(run.id).items() if is_sending]
    write_records(
        work, run.id, [EmissionRecord(run, types, given_up(number, TAKEN_OVER), None, Timing()) for number in numbers]
    )
    return len(numbers)
