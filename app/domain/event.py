"""SimulationRunEvent: one thing that happened in a run. Progress, metrics and reconciliation are derived from these.

Kinds, and what ``data`` holds:

    run.state             {state, reason?}
    run.note              {text}                          something a person should know (resent, waiting for a service)
    run.load              {emission_seconds, cpu_seconds, blocked_seconds, offered, is_over}   of one emission, at its
                                                          end; offered: orders due by then, None for a closed model;
                                                          is_over: it ended with the duration of a closed model
    step.succeeded        {type, seconds, ...}            GENERATE_HL7: code, attempts, timeouts, errors, ack_seconds
                                                          (of the last attempt), begin_seconds (from its row to the
                                                          sender), wait_seconds (from there to the first attempt), and
                                                          of an open arrival model slip_seconds (from its due time to
                                                          the sender), blocked_seconds (of it, for want of ACKs)
                                                          GENERATE_DICOM: instances, bytes
                                                          SEND_DICOM: stored, warnings, already_there, bytes, c_store
                                                          (c_store: the seconds of each C-STORE)
    step.failed           {type, seconds, reason, ...}    with what was done before it failed
    step.cancelled        {type}
    step.retried          {type, seconds, reason, delay_seconds, cause}   cause: verdict, transport or crash
    step.parked           {type, for, reason}             no message is out until what it waits for has come
    step.reopened         {type}                          its dead letter is tried again, at the next epoch
    job.queued            {queue, job, publish_seconds}   published and confirmed by the broker
    job.started           {worker, wait_seconds}
    job.finished          {queue, worker, seconds, outcome}
    job.dead_lettered     {kind, reason}
    order.reopened        {}                              it counts as waiting again
    order.completed       {seconds}                       since the order was begun
    order.failed          {seconds, reason}
    order.cancelled       {}
"""

from __future__ import annotations

from dataclasses import field
from datetime import datetime
from typing import Any

from app.domain.records import record

RUN_STATE = "run.state"
RUN_NOTE = "run.note"
RUN_LOAD = "run.load"
STEP_SUCCEEDED = "step.succeeded"
STEP_FAILED = "step.failed"
STEP_CANCELLED = "step.cancelled"
STEP_RETRIED = "step.retried"
STEP_PARKED = "step.parked"
STEP_REOPENED = "step.reopened"
JOB_QUEUED = "job.queued"
JOB_STARTED = "job.started"
JOB_FINISHED = "job.finished"
JOB_DEAD_LETTERED = "job.dead_lettered"
ORDER_REOPENED = "order.reopened"
ORDER_COMPLETED = "order.completed"
ORDER_FAILED = "order.failed"
ORDER_CANCELLED = "order.cancelled"

TERMINAL_STEP_KINDS = (STEP_SUCCEEDED, STEP_FAILED, STEP_CANCELLED)
TERMINAL_ORDER_KINDS = (ORDER_COMPLETED, ORDER_FAILED, ORDER_CANCELLED)


@record(frozen=True, slots=True)
class Event:
    """An event to be written; ``at`` is set by the database."""

    run_id: str
    kind: str
    order_number: int | None = None
    step_index: int | None = None
    starts: int = 0
    epoch: int = 0
    data: dict[str, Any] = field(default_factory=dict)


@record(frozen=True, slots=True)
class RecordedEvent:
    """An event as it was recorded. ``cursor`` is opaque: hand it back to read on from here."""

    cursor: str
    at: datetime
    event: Event
