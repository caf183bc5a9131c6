"""Reads for people and programs: pages of runs, orders and dead letters, and what is waited for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Engine, Row, and_, func, or_, select

from app.adapters.database.clock import database_now
from app.adapters.database.cursors import bad_cursor, decode_cursor, encode_cursor
from app.adapters.database.dead_letters import select_letters, to_letter
from app.adapters.database.destinations import select_destinations, to_destination
from app.adapters.database.engine import reading
from app.adapters.database.figures import select_shares, to_share
from app.adapters.database.job_upkeep import select_parked
from app.adapters.database.rowset import clean_text
from app.adapters.database.runs import select_runs, to_run
from app.adapters.database.scaling import select_decisions, to_record
from app.adapters.database.tables import (
    dead_letters,
    destinations,
    findings,
    orders,
    outbox,
    parked_jobs,
    run_workers,
    runs,
    scaling_decisions,
    step_executions,
)
from app.domain.errors import NotFound
from app.domain.run import TERMINAL_RUN_STATES, OrderState, Run, RunState, StepState
from app.domain.work import (
    DeadLetterFilter,
    DeadLetterRow,
    DestinationRow,
    Finding,
    OrderRow,
    ParkedCount,
    StepRow,
    Totals,
)
from app.ports import Page, Period, ScalingRecord, WorkerShareRow

# Whoever asks names the run: to convert its ID in each row takes as long as the rest of the row.
_ORDER_COLUMNS = [orders.c[field.name] for field in fields(OrderRow) if field.name != "run_id"]
_STEP_COLUMNS = [step_executions.c[field.name] for field in fields(StepRow)]


class SqlRunQueries:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def runs(
        self,
        *,
        state: RunState | None,
        template: str | None,
        after: str | None,
        limit: int,
        created: Period = Period(),  # noqa: B008 - it is frozen
    ) -> Page[Run]:
        statement = select_runs().order_by(runs.c.created_at.desc(), runs.c.id.desc()).limit(limit + 1)
        statement = statement.where(*_within(runs.c.created_at, created))
        if state is not None:
            statement = statement.where(runs.c.state == state)
        if template is not None:
            statement = statement.where(runs.c.template_name == template)
        if after is not None:
            at, id_ = _place(after)
            statement = statement.where(or_(runs.c.created_at < at, and_(runs.c.created_at == at, runs.c.id < id_)))
        found = [to_run(row) for row in self._all(statement)]
        more = len(found) > limit
        rows = found[:limit]
        cursor = encode_cursor(rows[-1].created_at.isoformat(), rows[-1].id) if more else None
        return Page(rows, cursor)

    def orders(
        self,
        run_id: str,
        *,
        state: OrderState | None,
        search: str | None,
        after: str | None,
        limit: int,
        first: int | None = None,
    ) -> Page[OrderRow]:
        statement = select(*_ORDER_COLUMNS).where(orders.c.run_id == run_id).order_by(orders.c.number).limit(limit + 1)
        if state is not None:
            statement = statement.where(orders.c.state == state)
        if search:
            search = clean_text(search)
            statement = statement.where(
                or_(
                    orders.c.accession == search,
                    orders.c.patient_id == search,
                    orders.c.patient_name.icontains(search, autoescape=True),
                )
            )
        if first is not None:
            statement = statement.where(orders.c.number >= first)
        if after is not None:
            statement = statement.where(orders.c.number > decode_cursor(after, (int,))[0])
        found = [_order(run_id, row) for row in self._all(statement)]
        rows = found[:limit]
        return Page(rows, encode_cursor(rows[-1].number) if len(found) > limit else None)

    def order(self, run_id: str, number: int) -> tuple[OrderRow, list[StepRow]]:
        rows = self._all(select(*_ORDER_COLUMNS).where(orders.c.run_id == run_id, orders.c.number == number))
        if not rows:
            raise NotFound(f"run {run_id} has no order {number}")
        steps = self._all(
            select(*_STEP_COLUMNS)
            .where(step_executions.c.run_id == run_id, step_executions.c.order_number == number)
            .order_by(step_executions.c.step_index)
        )
        return _order(run_id, rows[0]), [_step(row) for row in steps]

    def numbered(self, run_id: str, numbers: Sequence[int]) -> dict[int, OrderRow]:
        if not numbers:
            return {}
        wanted, number = set(numbers), orders.c.number
        first, last = min(wanted), max(wanted)
        # The server reads a few rows too many sooner than it looks up each of a thousand numbers.
        is_dense = last - first < 2 * len(wanted)
        named = number.between(first, last) if is_dense else number.in_(wanted)
        rows = self._all(select(*_ORDER_COLUMNS).where(orders.c.run_id == run_id, named))
        return {row.number: _order(run_id, row) for row in rows if row.number in wanted}

    def completed(self, run_id: str, after: int, limit: int) -> list[int]:
        c = orders.c
        of_run = (c.run_id == run_id, c.state == OrderState.COMPLETED, c.number > after)
        return [row.number for row in self._all(select(c.number).where(*of_run).order_by(c.number).limit(limit))]

    def findings(self, run_id: str, limit: int) -> list[Finding]:
        c = findings.c
        columns = (c.order_number, c.accession, c.kind, c.source, c.detail)
        rows = self._all(select(*columns).where(c.run_id == run_id).order_by(c.id).limit(limit))
        return [Finding(**row._mapping) for row in rows]

    def dead_letters(self, wanted: DeadLetterFilter, *, after: str | None, limit: int) -> Page[DeadLetterRow]:
        id_ = dead_letters.c.id
        statement = select_letters(wanted).order_by(id_.desc()).limit(limit + 1)
        if after is not None:
            statement = statement.where(id_ < decode_cursor(after, (int,))[0])
        found = [to_letter(row) for row in self._all(statement)]
        rows = found[:limit]
        return Page(rows, encode_cursor(rows[-1].id) if len(found) > limit else None)

    def dead_letter_counts(self) -> list[dict[str, Any]]:
        c = dead_letters.c
        groups = (c.state, c.kind, c.queue, c.step_type)
        figures = (func.count().label("count"), func.min(c.at).label("oldest"), func.max(c.at).label("newest"))
        return [dict(row._mapping) for row in self._all(select(*groups, *figures).group_by(*groups).order_by(*groups))]

    def destinations(self) -> list[DestinationRow]:
        return [to_destination(row) for row in self._all(select_destinations().order_by(destinations.c.key))]

    def scaling_decisions(self, pool: str | None, *, after: str | None, limit: int) -> Page[ScalingRecord]:
        id_ = scaling_decisions.c.id
        statement = select_decisions().order_by(id_.desc()).limit(limit + 1)
        if pool is not None:
            statement = statement.where(scaling_decisions.c.pool == clean_text(pool))
        if after is not None:
            statement = statement.where(id_ < decode_cursor(after, (int,))[0])
        found = [to_record(row) for row in self._all(statement)]
        rows = found[:limit]
        return Page(rows, encode_cursor(rows[-1].id) if len(found) > limit else None)

    def worker_shares(
        self, *, run_id: str | None, worker: str | None, ended: Period, after: str | None, limit: int
    ) -> Page[WorkerShareRow]:
        c = run_workers.c
        statement = select_shares().where(*_within(c.last_at, ended))
        if run_id is not None:
            statement = statement.where(c.run_id == run_id)
        if worker is not None:
            statement = statement.where(c.worker == clean_text(worker))
        if after is not None:
            moment, id_, name = decode_cursor(after, (str, str, str))
            at, id_ = _place_of(moment, id_)
            of_run = or_(c.run_id < id_, and_(c.run_id == id_, c.worker < name))
            statement = statement.where(or_(c.last_at < at, and_(c.last_at == at, of_run)))
        statement = statement.order_by(c.last_at.desc(), c.run_id.desc(), c.worker.desc()).limit(limit + 1)
        found = [to_share(row) for row in self._all(statement)]
        rows = found[:limit]
        if len(found) <= limit:
            return Page(rows, None)
        last = rows[-1]
        return Page(rows, encode_cursor(last.share.last_at.isoformat(), last.run_id, last.share.worker))

    def parked(self, run_id: str) -> list[ParkedCount]:
        return [ParkedCount(row.waiting_for, row.jobs) for row in self._all(select_parked(run_id))]

    def totals(self) -> Totals:
        number = func.count().label("number")
        in_outbox = number, func.count().filter(outbox.c.due_at <= database_now())
        active = select(runs.c.id).where(runs.c.state.not_in(list(TERMINAL_RUN_STATES)))
        of_active = select(orders.c.state, number).where(orders.c.run_id.in_(active))
        with reading(self._engine) as connection:
            by_run_state = _counts(connection, select(runs.c.state, number).group_by(runs.c.state))
            by_order_state = _counts(connection, of_active.group_by(orders.c.state))
            unpublished, due = connection.execute(select(*in_outbox).select_from(outbox)).one()
            parked = connection.execute(select(func.count()).select_from(parked_jobs)).scalar_one()
        return Totals(
            runs={state: by_run_state.get(state, 0) for state in RunState},
            orders={state: by_order_state.get(state, 0) for state in OrderState},
            unpublished=unpublished,
            due=due,
            parked=parked,
        )

    def runs_to_resume(self) -> list[Run]:
        free = or_(runs.c.lease_until.is_(None), runs.c.lease_until < database_now())
        statement = select_runs().where(runs.c.state.not_in(list(TERMINAL_RUN_STATES)), free)
        return [to_run(row) for row in self._all(statement.order_by(runs.c.created_at))]

    def _all(self, statement: Any) -> list[Row[Any]]:
        with reading(self._engine) as connection:
            return list(connection.execute(statement).all())


def _within(column: Column[Any], period: Period) -> Iterator[ColumnElement[bool]]:
    if period.since is not None:
        yield column >= period.since
    if period.until is not None:
        yield column < period.until


def _counts(connection: Connection, statement: Any) -> dict[str, int]:
    return {row.state: row.number for row in connection.execute(statement)}


def _place(cursor: str) -> tuple[datetime, str]:
    return _place_of(*decode_cursor(cursor, (str, str)))


def _place_of(created: str, id_: str) -> tuple[datetime, str]:
    try:
        return datetime.fromisoformat(created), str(uuid.UUID(id_))
    except ValueError as error:
        raise bad_cursor() from error


def _order(run_id: str, row: Row[Any]) -> OrderRow:
    number, state, *others = tuple(row)  # as _ORDER_COLUMNS: in the order of the fields
    return OrderRow(run_id, number, OrderState(state), *others)


def _step(row: Row[Any]) -> StepRow:
    return StepRow(**{**row._mapping, "state": StepState(row.state)})
