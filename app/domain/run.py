"""The run: its states and which of them may follow which, as one table that code and database share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.domain.errors import Conflict


class RunState(StrEnum):
    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING_ON_WORKERS = "WAITING_ON_WORKERS"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    RECONCILING = "RECONCILING"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_ERRORS = "COMPLETED_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL_RUN_STATES


TERMINAL_RUN_STATES = frozenset(
    {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS, RunState.FAILED, RunState.CANCELLED}
)

TRANSITIONS: dict[RunState, frozenset[RunState]] = {
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.CANCELLING, RunState.FAILED}),
    RunState.RUNNING: frozenset({RunState.WAITING_ON_WORKERS, RunState.PAUSED, RunState.CANCELLING, RunState.FAILED}),
    RunState.WAITING_ON_WORKERS: frozenset(
        {RunState.RECONCILING, RunState.PAUSED, RunState.CANCELLING, RunState.FAILED}
    ),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.WAITING_ON_WORKERS, RunState.CANCELLING, RunState.FAILED}),
    # A cancelled run still reconciles what was stored; it does so in CANCELLING, so that it can only end CANCELLED.
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.FAILED}),
    RunState.RECONCILING: frozenset(
        {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS, RunState.FAILED, RunState.CANCELLING}
    ),
    RunState.COMPLETED: frozenset(),
    # A retry of dead letters reopens a run that ended with errors.
    RunState.COMPLETED_WITH_ERRORS: frozenset({RunState.WAITING_ON_WORKERS}),
    RunState.FAILED: frozenset({RunState.WAITING_ON_WORKERS}),
    RunState.CANCELLED: frozenset(),
}


def check_transition(current: RunState, following: RunState) -> None:
    """Allow the transition or raise.

    Raises:
        Conflict: the table does not have it.
    """
    if following not in TRANSITIONS[current]:
        raise Conflict(f"a run in state {current} can't become {following}")


class OrderState(StrEnum):
    """SENDING until its ACK is known, WAITING while jobs are outstanding, then exactly one of the other three."""

    SENDING = "SENDING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StepState(StrEnum):
    """PENDING behind an earlier step, READY when its job may be claimed, RUNNING under a fence, then terminal.

    PARKED: its job waits without a message, for the end of a pause or for a destination that is away.
    """

    PENDING = "PENDING"
    READY = "READY"
    RUNNING = "RUNNING"
    PARKED = "PARKED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Run:
    """A run's row. ``document`` is the template as it was resolved at the start, so later edits don't touch it."""

    id: str
    run_key: str
    template_id: str | None
    template_name: str
    template_version: int
    document: dict[str, Any]
    seed: int
    base_time: datetime  # naive local time of the simulated department
    requested: int
    state: RunState
    created_at: datetime
    labels: dict[str, str] = field(default_factory=dict)
    verdict: Verdict | None = None
    reason: str = ""
    started_at: datetime | None = None
    emitted_at: datetime | None = None
    finished_at: datetime | None = None
    epoch: int = 0
    summary: dict[str, Any] | None = None
