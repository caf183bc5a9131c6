"""Claiming and finishing jobs: the message is a hint, these rows are the truth.

One row carries a job's claim: its *head*, the first unfinished step. A claim raises ``starts`` and sets a new fence and
a lease; a finish writes only where the fence is still its own, with the events and what follows in the same
transaction. Whoever changes a job's rows has locked its head first, and heads are locked in key order, so that two
groups can't wait for each other.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    Connection,
    FromClause,
    Integer,
    Row,
    Select,
    Text,
    Update,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    update,
)

from app.adapters.database.clock import Instant, database_now, read_now
from app.adapters.database.job_events import events_of_claims, events_of_finishes
from app.adapters.database.journal import SqlJournal
from app.adapters.database.outbox import SqlOutbox
from app.adapters.database.rowset import ROWS, rowset
from app.adapters.database.tables import RunId, orders, outbox, runs, step_executions
from app.domain.run import TERMINAL_RUN_STATES, OrderState, RunState, StepState
from app.domain.work import Claim, ClaimRequest, JobFinish

_DONE = (StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED)
_UNFINISHED = (OrderState.SENDING, OrderState.WAITING)
_ATTEMPTED = (StepState.SUCCEEDED, StepState.FAILED)
_c = step_executions.c
_KEY = (("run_id", RunId), ("order_number", Integer()), ("step_index", Integer()))


class SqlJobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._dialect = connection.dialect.name

    # --- claim ---

    def claim(self, requests: Sequence[ClaimRequest], worker: str, lease_seconds: float) -> list[Claim]:
        now = read_now(self._connection)
        states = self._run_states({request.run_id for request in requests})
        steps = self._lock_steps(requests)
        claims: list[Claim] = []
        taken: set[tuple[str, int, int]] = set()
        for request, rows in zip(requests, steps, strict=True):
            claim = _decide(request, rows, states.get(request.run_id), now)
            head = (request.run_id, request.order_number, claim.head)
            if claim.granted and head in taken:  # the same job twice in one group
                claim = Claim(granted=False, refusal="taken")
            if claim.granted:
                taken.add(head)
            claims.append(claim)
        granted = [(request, claim) for request, claim in zip(requests, claims, strict=True) if claim.granted]
        if granted:
            self._write_claims(granted, worker, now + timedelta(seconds=lease_seconds))
        return claims

    def _run_states(self, run_ids: Iterable[str]) -> dict[str, RunState]:
        rows = self._connection.execute(select(runs.c.id, runs.c.state).where(runs.c.id.in_(list(run_ids))))
        return {row.id: RunState(row.state) for row in rows}

    def _lock_steps(self, requests: Sequence[ClaimRequest]) -> list[dict[int, Row[Any]]]:
        """The rows of each request's steps, by step index."""
        found: list[dict[int, Row[Any]]] = [{} for _ in requests]
        wanted = [
            {**_key(request.run_id, request.order_number, index), "position": position}
            for position, request in enumerate(requests)
            for index in request.step_indexes
        ]
        for row in self._connection.execute(_steps_to_claim(self._dialect), {ROWS: wanted}):
            found[row.position][row.step_index] = row
        return found

    def _write_claims(self, granted: list[tuple[ClaimRequest, Claim]], worker: str, lease_until: datetime) -> None:
        rows = [
            {**_key(request.run_id, request.order_number, claim.head), "fence": claim.fence}
            for request, claim in granted
        ]
        statement = _start_steps(self._dialect)
        self._connection.execute(statement, {ROWS: rows, "worker": worker, "lease_until": lease_until})
        SqlJournal(self._connection).append(events_of_claims(granted, worker))

    def give_up(self, claims: Sequence[tuple[ClaimRequest, Claim]]) -> None:
        rows = [
            {**_key(request.run_id, request.order_number, claim.head), "fence": claim.fence}
            for request, claim in claims
        ]
        self._connection.execute(_return_steps(self._dialect), {ROWS: rows})

    # --- finish ---

    def finish(self, finishes: Sequence[JobFinish]) -> list[bool]:
        now = read_now(self._connection)
        begun = self._lock_own_heads(finishes)
        kept = [finish for position, finish in enumerate(finishes) if position in begun]
        if kept:
            self._finish_steps(kept)
            self._ready_following(kept, now)
            self._finish_orders(kept)
            ages = [(now - begun[position]).total_seconds() for position in sorted(begun)]
            SqlJournal(self._connection).append(events_of_finishes(kept, ages))
            SqlOutbox(self._connection).put([finish.following for finish in kept if finish.following])
        return [position in begun for position in range(len(finishes))]

    def _lock_own_heads(self, finishes: Sequence[JobFinish]) -> dict[int, datetime]:
        """For each finish whose fence still holds, by position: when its order was begun."""
        wanted = [
            {
                **_key(finish.run_id, finish.order_number, finish.head),
                "fence": finish.fence,
                "position": position,
            }
            for position, finish in enumerate(finishes)
        ]
        rows = self._connection.execute(_heads_to_finish(self._dialect), {ROWS: wanted})
        return {row.position: row.begun_at for row in rows}

    def _finish_steps(self, kept: list[JobFinish]) -> None:
        rows = [
            {
                **_key(finish.run_id, finish.order_number, step.step_index),
                "state": step.state,
                "error": step.error,
                "attempts": int(step.state in _ATTEMPTED),
                "worker": finish.worker,
            }
            for finish in kept
            for step in finish.steps
        ]
        self._connection.execute(_end_steps(self._dialect), {ROWS: rows})

    def _ready_following(self, kept: list[JobFinish], now: datetime) -> None:
        rows = [
            {
                **_key(finish.run_id, finish.order_number, finish.following.job.slip[0].index),
                "ready_at": now + timedelta(seconds=finish.following.delay_seconds),
            }
            for finish in kept
            if finish.following is not None
        ]
        if rows:
            self._connection.execute(_ready_steps(self._dialect), {ROWS: rows})

    def _finish_orders(self, kept: list[JobFinish]) -> None:
        rows = [
            {
                "run_id": finish.run_id,
                "number": finish.order_number,
                "state": finish.order_state,
                "reason": finish.reason,
                "instances_stored": finish.instances_stored,
            }
            for finish in kept
            if finish.order_state is not None or finish.instances_stored
        ]
        if rows:
            self._connection.execute(_advance_orders(self._dialect), {ROWS: rows})

    # --- the end of all jobs ---

    def outstanding(self, run_id: str) -> bool:
        unfinished = exists().where(orders.c.run_id == run_id, orders.c.state.in_(_UNFINISHED))
        unpublished = exists().where(outbox.c.run_id == run_id)
        return bool(self._connection.execute(select(or_(unfinished, unpublished))).scalar_one())


def _decide(request: ClaimRequest, rows: dict[int, Row[Any]], run: RunState | None, now: datetime) -> Claim:
    own = [rows[index] for index in request.step_indexes if index in rows]
    if run is None or len(own) != len(request.step_indexes):
        return Claim(granted=False, refusal="unknown")
    head = next((row for row in own if row.state not in _DONE), None)
    if head is None or run in TERMINAL_RUN_STATES or head.epoch != request.epoch:
        return Claim(granted=False, refusal="finished")
    lost = head.state == StepState.RUNNING and (request.redelivered or head.lease_until < now)
    if head.state != StepState.READY and not lost:
        return Claim(granted=False, refusal="taken")
    return Claim(
        granted=True,
        refusal="cancelled" if run is RunState.CANCELLING else None,
        head=head.step_index,
        fence=str(uuid.uuid4()),
        starts=head.starts + 1,
        wait_seconds=max((now - head.ready_at).total_seconds(), 0.0),
    )


def _key(run_id: str, order_number: int, step_index: int) -> dict[str, Any]:
    return {"run_id": run_id, "order_number": order_number, "step_index": step_index}


# --- statements, each built once a dialect ---


def _of(given: FromClause) -> Any:
    """The step execution that a given row names."""
    return and_(
        _c.run_id == given.c.run_id, _c.order_number == given.c.order_number, _c.step_index == given.c.step_index
    )


def _in_order(statement: Select[Any]) -> Select[Any]:
    return statement.order_by(_c.run_id, _c.order_number, _c.step_index).with_for_update(of=step_executions)


@cache
def _steps_to_claim(dialect: str) -> Select[Any]:
    given = rowset(dialect, *_KEY, ("position", Integer()))
    columns = (_c.step_index, _c.state, _c.starts, _c.epoch, _c.lease_until, _c.ready_at)
    return _in_order(select(given.c.position, *columns).join_from(given, step_executions, _of(given)))


@cache
def _start_steps(dialect: str) -> Update:
    given = rowset(dialect, *_KEY, ("fence", RunId))
    return (
        update(step_executions)
        .where(_of(given))
        .values(
            state=StepState.RUNNING,
            starts=_c.starts + 1,
            fence=given.c.fence,
            lease_until=bindparam("lease_until"),
            worker=bindparam("worker"),
        )
    )


@cache
def _return_steps(dialect: str) -> Update:
    given = rowset(dialect, *_KEY, ("fence", RunId))
    ours = and_(_of(given), _c.fence == given.c.fence, _c.state == StepState.RUNNING)
    return update(step_executions).where(ours).values(state=StepState.READY, fence=None, lease_until=None)


@cache
def _heads_to_finish(dialect: str) -> Select[Any]:
    given = rowset(dialect, *_KEY, ("fence", RunId), ("position", Integer()))
    statement = (
        select(given.c.position, orders.c.begun_at)
        .join_from(given, step_executions, _of(given))
        .join(orders, and_(orders.c.run_id == given.c.run_id, orders.c.number == given.c.order_number))
        .where(_c.state == StepState.RUNNING, _c.fence == given.c.fence)
    )
    return _in_order(statement)


@cache
def _end_steps(dialect: str) -> Update:
    fields = (("state", Text()), ("error", Text()), ("attempts", Integer()), ("worker", Text()))
    given = rowset(dialect, *_KEY, *fields)
    return (
        update(step_executions)
        .where(_of(given))
        .values(
            state=given.c.state,
            error=given.c.error,
            attempt=_c.attempt + given.c.attempts,
            worker=given.c.worker,
            lease_until=None,
            finished_at=database_now(),
        )
    )


@cache
def _ready_steps(dialect: str) -> Update:
    given = rowset(dialect, *_KEY, ("ready_at", Instant()))
    return update(step_executions).where(_of(given)).values(state=StepState.READY, ready_at=given.c.ready_at)


@cache
def _advance_orders(dialect: str) -> Update:
    fields = (("state", Text()), ("reason", Text()), ("instances_stored", Integer()))
    given = rowset(dialect, ("run_id", RunId), ("number", Integer()), *fields)
    return (
        update(orders)
        .where(orders.c.run_id == given.c.run_id, orders.c.number == given.c.number)
        .values(
            state=func.coalesce(given.c.state, orders.c.state),
            reason=given.c.reason,
            instances_stored=orders.c.instances_stored + given.c.instances_stored,
            finished_at=case((given.c.state.is_not(None), database_now())),
        )
    )
