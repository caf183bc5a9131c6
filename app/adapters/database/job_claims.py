"""Claiming jobs: the message is a hint, these rows are the truth.

One row carries a job's claim: its *head*, the first unfinished step. A claim raises ``starts`` and sets a new fence and
a lease. A job that can't run now, because its run is paused or its destination away, is parked in the same
transaction: its row waits without a message.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Integer, Row, Select, Update, and_, bindparam, select, update

from app.adapters.database.clock import database_now, read_now
from app.adapters.database.job_events import Parking, events_of_claims, events_of_parkings
from app.adapters.database.job_rows import DONE, KEY, key, locked_in_order, named_by
from app.adapters.database.journal import SqlJournal
from app.adapters.database.rowset import ROWS, insert_rows, rowset
from app.adapters.database.tables import RunId, destinations, parked_jobs, runs, step_executions
from app.domain.run import TERMINAL_RUN_STATES, RunState, StepState
from app.domain.work import PAUSE, Claim, ClaimRefusal, ClaimRequest, DestinationState

_c = step_executions.c


@dataclass(frozen=True, slots=True)
class _View:
    """What claims are decided by, besides their rows. ``away``: the reasons of the destinations that are OPEN.

    All claims of a transaction have the same fence: a row has at most one of them.
    """

    fence: str
    now: datetime
    runs: Mapping[str, RunState]
    away: Mapping[str, str]


def claim(connection: Connection, requests: Sequence[ClaimRequest], worker: str, lease_seconds: float) -> list[Claim]:
    view = _look(connection, requests)
    claims: list[Claim] = []
    granted: dict[tuple[str, int, int], tuple[ClaimRequest, Claim]] = {}
    parked: dict[tuple[str, int, int], Parking] = {}
    for request, rows in zip(requests, _lock_steps(connection, requests), strict=True):
        decision = _decide(request, rows, view)
        index = decision.step_index if isinstance(decision, Parking) else decision.head
        head = (request.run_id, request.order_number, index)
        if head in granted or head in parked:  # the same job twice in one group
            claims.append(_refused("taken" if head in granted else "parked"))
        elif isinstance(decision, Parking):
            parked[head] = decision
            claims.append(_refused("parked"))
        else:
            if decision.granted:
                granted[head] = (request, decision)
            claims.append(decision)
    _write_claims(connection, list(granted.values()), worker, view, lease_seconds)
    park(connection, list(parked.values()))
    return claims


def renew(connection: Connection, claims: Sequence[tuple[ClaimRequest, Claim]], lease_seconds: float) -> list[bool]:
    until = read_now(connection) + timedelta(seconds=lease_seconds)
    given = [{**head, "position": position} for position, head in enumerate(_heads(claims))]
    ours = connection.execute(_claimed_steps(connection.dialect.name), {ROWS: given}).scalars().all()
    rows = {ROWS: [given[position] for position in ours], "lease_until": until}
    connection.execute(_prolong_steps(connection.dialect.name), rows)
    return [position in ours for position in range(len(claims))]


def give_up(connection: Connection, claims: Sequence[tuple[ClaimRequest, Claim]]) -> None:
    dialect, heads = connection.dialect.name, _heads(claims)
    connection.execute(_steps_to_return(dialect), {ROWS: heads})
    connection.execute(_return_steps(dialect), {ROWS: heads})


# --- deciding ---


def _decide(request: ClaimRequest, rows: Mapping[int, Row[Any]], view: _View) -> Claim | Parking:
    run = view.runs.get(request.run_id)
    own = [rows[index] for index in request.step_indexes if index in rows]
    if run is None or len(own) != len(request.step_indexes):
        return _refused("unknown")
    head = next((row for row in own if row.state not in DONE), None)
    if head is None or run in TERMINAL_RUN_STATES or head.epoch != request.epoch:
        return _refused("finished")
    refusal = _unready(head, request.redelivered, view.now)
    if refusal is not None:
        return _refused(refusal)
    if run is RunState.PAUSED:
        return _parking(request, head, PAUSE, "the run is paused")
    if run is not RunState.CANCELLING and request.destination in view.away and not head.is_probe:
        return _parking(request, head, request.destination, view.away[request.destination])
    return _granted(head, view, "cancelled" if run is RunState.CANCELLING else None)


def _unready(head: Row[Any], redelivered: bool, now: datetime) -> ClaimRefusal | None:
    """Why nobody may claim this row now; a RUNNING one is lost when its message came again, or its lease ran out."""
    match head.state:
        case StepState.PARKED:
            return "parked"
        case StepState.READY:
            return "early" if head.ready_at > now else None
        case StepState.RUNNING:
            return None if redelivered or head.lease_until < now else "taken"
    return "taken"


def _refused(refusal: ClaimRefusal) -> Claim:
    return Claim(granted=False, refusal=refusal)


def _granted(head: Row[Any], view: _View, refusal: ClaimRefusal | None) -> Claim:
    return Claim(
        granted=True,
        refusal=refusal,
        head=head.step_index,
        fence=view.fence,
        starts=head.starts + 1,
        wait_seconds=_seconds(head.ready_at, view.now),
        attempts=head.attempt,
        lost_starts=head.starts - head.settled_starts,
        crashes=head.crashes,
        waited_seconds=_seconds(head.waiting_since, view.now),
        is_probe=head.is_probe,
    )


def _parking(request: ClaimRequest, head: Row[Any], waiting_for: str, reason: str) -> Parking:
    return Parking(
        request.run_id, request.order_number, head.step_index, head.starts, head.epoch, head.type, waiting_for, reason
    )


def _seconds(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max((now - since).total_seconds(), 0.0)


# --- reading and writing ---


def _look(connection: Connection, requests: Sequence[ClaimRequest]) -> _View:
    run_ids = list({request.run_id for request in requests})
    keys = list({request.destination for request in requests if request.destination})
    rows = connection.execute(_runs_and_destinations(), {"run_ids": run_ids, "keys": keys}).all()
    return _View(
        fence=str(uuid.uuid4()),
        now=rows[0].now,
        runs={row.id: RunState(row.state) for row in rows if row.id is not None},
        away={row.key: row.reason for row in rows if row.key is not None},
    )


def _lock_steps(connection: Connection, requests: Sequence[ClaimRequest]) -> list[dict[int, Row[Any]]]:
    """The rows of each request's steps, by step index."""
    found: list[dict[int, Row[Any]]] = [{} for _ in requests]
    wanted = [
        {**key(request.run_id, request.order_number, index), "position": position}
        for position, request in enumerate(requests)
        for index in request.step_indexes
    ]
    for row in connection.execute(_steps_to_claim(connection.dialect.name), {ROWS: wanted}):
        found[row.position][row.step_index] = row
    return found


def _write_claims(
    connection: Connection, granted: list[tuple[ClaimRequest, Claim]], worker: str, view: _View, lease_seconds: float
) -> None:
    if granted:
        rows = [key(request.run_id, request.order_number, claim.head) for request, claim in granted]
        lease_until = view.now + timedelta(seconds=lease_seconds)
        values = {ROWS: rows, "fence": view.fence, "worker": worker, "lease_until": lease_until}
        connection.execute(_start_steps(connection.dialect.name), values)
        SqlJournal(connection).append(events_of_claims(granted, worker))


def park(connection: Connection, parked: Sequence[Parking]) -> None:
    """Their rows wait without a message; whoever calls has locked them."""
    if parked:
        rows = [key(each.run_id, each.order_number, each.step_index) for each in parked]
        connection.execute(_park_steps(connection.dialect.name), {ROWS: rows})
        waiting = [row | {"waiting_for": each.waiting_for} for row, each in zip(rows, parked, strict=True)]
        insert_rows(connection, parked_jobs, waiting)
        # Parked again without a start in between: that is told once.
        SqlJournal(connection).append(events_of_parkings(parked), unless_there=True)


def _heads(claims: Sequence[tuple[ClaimRequest, Claim]]) -> list[dict[str, Any]]:
    return [
        {**key(request.run_id, request.order_number, claim.head), "fence": claim.fence} for request, claim in claims
    ]


# --- statements, each built once a dialect ---


@cache
def _runs_and_destinations() -> Select[Any]:
    """The time, with a row for each of the runs, or for each of them with each of the destinations that are away."""
    clock = select(database_now().label("now")).subquery()
    named = runs.c.id.in_(bindparam("run_ids", expanding=True))
    away = and_(
        destinations.c.key.in_(bindparam("keys", expanding=True)), destinations.c.state == DestinationState.OPEN
    )
    columns = (clock.c.now, runs.c.id, runs.c.state, destinations.c.key, destinations.c.reason)
    return select(*columns).select_from(clock.outerjoin(runs, named).outerjoin(destinations, away))


@cache
def _steps_to_claim(dialect: str) -> Select[Any]:
    given = rowset(dialect, *KEY, ("position", Integer()))
    columns = (
        *(_c.step_index, _c.type, _c.state, _c.starts, _c.attempt, _c.epoch, _c.lease_until, _c.ready_at),
        *(_c.settled_starts, _c.crashes, _c.waiting_since, _c.is_probe),
    )
    return locked_in_order(select(given.c.position, *columns).join_from(given, step_executions, named_by(given)))


@cache
def _start_steps(dialect: str) -> Update:
    given = rowset(dialect, *KEY)
    return (
        update(step_executions)
        .where(named_by(given))
        .values(
            state=StepState.RUNNING,
            starts=_c.starts + 1,
            fence=bindparam("fence"),
            lease_until=bindparam("lease_until"),
            worker=bindparam("worker"),
        )
    )


@cache
def _park_steps(dialect: str) -> Update:
    given = rowset(dialect, *KEY)
    values = {"state": StepState.PARKED, "fence": None, "lease_until": None}
    return update(step_executions).where(named_by(given)).values(**values)


@cache
def _steps_to_return(dialect: str) -> Select[Any]:
    """Only to lock them in order: an update takes them as they come."""
    given = rowset(dialect, *KEY)
    return locked_in_order(select(_c.step_index).join_from(given, step_executions, named_by(given)))


@cache
def _claimed_steps(dialect: str) -> Select[Any]:
    """Those of the given claims that are still so."""
    given = rowset(dialect, *KEY, ("fence", RunId), ("position", Integer()))
    ours = and_(_c.state == StepState.RUNNING, _c.fence == given.c.fence)
    return locked_in_order(select(given.c.position).join_from(given, step_executions, named_by(given)).where(ours))


@cache
def _prolong_steps(dialect: str) -> Update:
    given = rowset(dialect, *KEY)
    return update(step_executions).where(named_by(given)).values(lease_until=bindparam("lease_until"))


@cache
def _return_steps(dialect: str) -> Update:
    given = rowset(dialect, *KEY, ("fence", RunId))
    return (
        update(step_executions)
        .where(named_by(given), _c.fence == given.c.fence, _c.state == StepState.RUNNING)
        .values(state=StepState.READY, fence=None, lease_until=None, settled_starts=_c.settled_starts + 1)
    )
