"""The events that claiming and finishing jobs leave behind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.domain.event import (
    JOB_DEAD_LETTERED,
    JOB_FINISHED,
    JOB_STARTED,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_FAILED,
    STEP_CANCELLED,
    STEP_FAILED,
    STEP_PARKED,
    STEP_RETRIED,
    STEP_SUCCEEDED,
    Event,
)
from app.domain.run import OrderState, StepState
from app.domain.work import Claim, ClaimRequest, Death, JobFinish, StepOutcome

_ORDER_KINDS = {
    OrderState.COMPLETED: ORDER_COMPLETED,
    OrderState.FAILED: ORDER_FAILED,
    OrderState.CANCELLED: ORDER_CANCELLED,
}
_STEP_KINDS = {
    StepState.SUCCEEDED: STEP_SUCCEEDED,
    StepState.FAILED: STEP_FAILED,
    StepState.CANCELLED: STEP_CANCELLED,
    StepState.READY: STEP_RETRIED,
}


@dataclass(frozen=True, slots=True)
class Parking:
    """A job that is set aside: its head, and what it waits for."""

    run_id: str
    order_number: int
    step_index: int
    starts: int
    epoch: int
    type: str
    waiting_for: str
    reason: str


def events_of_claims(granted: Iterable[tuple[ClaimRequest, Claim]], worker: str) -> list[Event]:
    return [
        Event(
            request.run_id,
            JOB_STARTED,
            request.order_number,
            claim.head,
            claim.starts,
            request.epoch,
            {"worker": worker, "wait_seconds": round(claim.wait_seconds, 6)},
        )
        for request, claim in granted
    ]


def events_of_parkings(parked: Iterable[Parking]) -> list[Event]:
    return [
        Event(
            each.run_id,
            STEP_PARKED,
            each.order_number,
            each.step_index,
            each.starts,
            each.epoch,
            {"type": each.type, "for": each.waiting_for, "reason": each.reason},
        )
        for each in parked
    ]


def events_of_finishes(finishes: Iterable[JobFinish], ages: Iterable[float]) -> list[Event]:
    """Steps, job and, where it ends, order; ``ages`` are the seconds since each order was begun."""
    new: list[Event] = []
    for finish, age in zip(finishes, ages, strict=True):
        new += _steps(finish)
        if finish.worker:
            new.append(_job(finish))
        if finish.death is not None:
            new.append(_death(finish, finish.death))
        if finish.order_state is not None:
            data: dict[str, Any] = {"seconds": round(age, 6)}
            if finish.reason:
                data["reason"] = finish.reason
            kind = _ORDER_KINDS[finish.order_state]
            new.append(Event(finish.run_id, kind, finish.order_number, epoch=finish.epoch, data=data))
    return new


def failed_step(finish: JobFinish) -> StepOutcome:
    """The step that a dead job died of."""
    return next(step for step in finish.steps if step.state is StepState.FAILED)


def _steps(finish: JobFinish) -> list[Event]:
    return [
        Event(
            finish.run_id,
            _STEP_KINDS[step.state],
            finish.order_number,
            step.step_index,
            finish.starts,
            finish.epoch,
            step.data | _told(finish, step),
        )
        for step in finish.steps
    ]


def _told(finish: JobFinish, step: StepOutcome) -> dict[str, Any]:
    told: dict[str, Any] = {"type": step.type, "seconds": round(step.seconds, 6)}
    if step.error:
        told["reason"] = step.error
    if step.cause is not None:
        told |= {"cause": step.cause, "delay_seconds": finish.following.delay_seconds if finish.following else 0.0}
    return told


def _job(finish: JobFinish) -> Event:
    data = {
        "queue": finish.queue,
        "worker": finish.worker,
        "seconds": round(finish.seconds, 6),
        "outcome": finish.outcome,
    }
    return Event(finish.run_id, JOB_FINISHED, finish.order_number, finish.head, finish.starts, finish.epoch, data)


def _death(finish: JobFinish, death: Death) -> Event:
    data = {"kind": death.kind, "reason": death.reason}
    step = failed_step(finish).step_index
    return Event(finish.run_id, JOB_DEAD_LETTERED, finish.order_number, step, finish.starts, finish.epoch, data)
