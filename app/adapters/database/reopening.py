"""Reopening dead jobs: their orders go on where they failed, at the next epoch.

A step's ``starts`` only ever grow, and are raised by one here: with the kind they are an event's key, and each epoch
may end a step anew, with a start or without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Connection, Integer, Row, Select, Text, Update, and_, select, update

from app.adapters.database.job_rows import KEY, key, locked_in_order, named_by
from app.adapters.database.journal import SqlJournal
from app.adapters.database.rowset import ROWS, insert_rows, rowset
from app.adapters.database.tables import RunId, Serial, dead_letters, orders, parked_jobs, step_executions
from app.domain.event import ORDER_REOPENED, STEP_REOPENED, Event
from app.domain.run import OrderState, StepState
from app.domain.work import REOPENED, DeadLetterState

_c = step_executions.c


@dataclass(frozen=True, slots=True)
class _Case:
    """A letter, the step that its job died of, and the steps behind that one."""

    letter: Row[Any]
    failed: Row[Any]
    behind: Sequence[Row[Any]]

    @property
    def epoch(self) -> int:
        """The one to come."""
        return int(self.failed.epoch) + 1


def reopen(connection: Connection, ids: Sequence[int]) -> dict[int, str]:
    """The letters whose jobs were reopened, each with its run."""
    cases = _lock(connection, ids)
    if cases:
        dialect = connection.dialect.name
        connection.execute(_restart_steps(dialect), {ROWS: [row for case in cases for row in _rows(case)]})
        heads = [key(case.letter.run_id, case.letter.order_number, case.failed.step_index) for case in cases]
        connection.execute(_restart_orders(dialect), {ROWS: heads})
        insert_rows(connection, parked_jobs, [head | {"waiting_for": REOPENED} for head in heads])
        SqlJournal(connection).append([event for case in cases for event in _events(case)])
    return {case.letter.id: case.letter.run_id for case in cases}


def _lock(connection: Connection, ids: Sequence[int]) -> list[_Case]:
    """Those of the letters that are OPEN, and whose orders stand as these say."""
    dialect = connection.dialect.name
    letters = connection.execute(_open_letters(dialect), {ROWS: [{"id": id_} for id_ in sorted(set(ids))]}).all()
    heads = [key(letter.run_id, letter.order_number, letter.step_index) for letter in letters]
    steps: dict[tuple[str, int], list[Row[Any]]] = {}
    for row in connection.execute(_steps_of_failed_orders(dialect), {ROWS: heads}):
        steps.setdefault((row.run_id, row.order_number), []).append(row)
    cases = []
    for letter in letters:
        found = steps.get((letter.run_id, letter.order_number))
        if found and found[0].state == StepState.FAILED:
            cases.append(_Case(letter, found[0], found[1:]))
    return cases


def _rows(case: _Case) -> list[dict[str, Any]]:
    def row(step: Row[Any], state: StepState) -> dict[str, Any]:
        named = key(case.letter.run_id, case.letter.order_number, step.step_index)
        return named | {"state": state, "epoch": case.epoch}

    return [row(case.failed, StepState.PARKED), *(row(step, StepState.PENDING) for step in case.behind)]


def _events(case: _Case) -> list[Event]:
    run_id, number, failed = case.letter.run_id, case.letter.order_number, case.failed
    return [
        Event(run_id, ORDER_REOPENED, number, epoch=case.epoch),
        Event(run_id, STEP_REOPENED, number, failed.step_index, failed.starts + 1, case.epoch, {"type": failed.type}),
    ]


# --- statements, each built once a dialect ---


@cache
def _open_letters(dialect: str) -> Select[Any]:
    given = rowset(dialect, ("id", Serial))
    c = dead_letters.c
    return (
        select(c.id, c.run_id, c.order_number, c.step_index)
        .join_from(given, dead_letters, c.id == given.c.id)
        .where(c.state == DeadLetterState.OPEN, c.run_id.is_not(None))
        .order_by(c.id)
        .with_for_update(of=dead_letters)
    )


@cache
def _steps_of_failed_orders(dialect: str) -> Select[Any]:
    """From each given step on, in their order."""
    given = rowset(dialect, *KEY)
    of_order = and_(_c.run_id == given.c.run_id, _c.order_number == given.c.order_number)
    order = and_(orders.c.run_id == given.c.run_id, orders.c.number == given.c.order_number)
    return locked_in_order(
        select(_c.run_id, _c.order_number, _c.step_index, _c.type, _c.state, _c.starts, _c.epoch)
        .join_from(given, step_executions, and_(of_order, _c.step_index >= given.c.step_index))
        .join(orders, and_(order, orders.c.state == OrderState.FAILED))
    )


@cache
def _restart_steps(dialect: str) -> Update:
    given = rowset(dialect, *KEY, ("state", Text()), ("epoch", Integer()))
    return (
        update(step_executions)
        .where(named_by(given))
        .values(
            state=given.c.state,
            starts=_c.starts + 1,
            settled_starts=_c.starts + 1,
            epoch=given.c.epoch,
            attempt=0,
            crashes=0,
            waiting_since=None,
            fence=None,
            lease_until=None,
            finished_at=None,
            error="",
        )
    )


@cache
def _restart_orders(dialect: str) -> Update:
    given = rowset(dialect, ("run_id", RunId), ("order_number", Integer()))
    return (
        update(orders)
        .where(orders.c.run_id == given.c.run_id, orders.c.number == given.c.order_number)
        .values(state=OrderState.WAITING, finished_at=None, reason="")
    )
