"""The orders of a run, in groups."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Insert,
    Integer,
    Text,
    Update,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from app.adapters.database.clock import database_now
from app.adapters.database.job_rows import is_unfinished
from app.adapters.database.journal import SqlJournal
from app.adapters.database.rowset import ROWS, insert_rows, rowset, values_of
from app.adapters.database.tables import RunId, orders, outbox, parked_jobs, step_executions
from app.domain.event import ORDER_CANCELLED, STEP_CANCELLED, Event
from app.domain.run import OrderState, StepState
from app.domain.work import OrderAcknowledged, OrderIntent

_SHAPES = "shapes"  # the parameter that carries the steps of each shape
_CHUNK = 500  # SQLite allows 32,766 variables a statement
_TERMINAL = (OrderState.COMPLETED, OrderState.FAILED, OrderState.CANCELLED)
_OPEN = (StepState.PENDING, StepState.READY, StepState.PARKED)
_POSITIVE = ("AA", "CA")
_c = step_executions.c


class SqlOrders:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, run_id: str, intents: Sequence[OrderIntent]) -> None:
        rows = [{"run_id": run_id, "state": OrderState.SENDING, **values_of(intent)} for intent in intents]
        insert_rows(self._connection, orders, rows, unless_there=True)

    def acknowledge(self, run_id: str, outcomes: Sequence[OrderAcknowledged]) -> set[int]:
        rows = [
            {
                "run_id": run_id,
                "number": outcome.number,
                "state": outcome.state,
                "ack_code": outcome.ack_code,
                "acknowledgement": outcome.acknowledgement,
                "possibly_duplicated": outcome.possibly_duplicated,
                "reason": outcome.reason,
            }
            for outcome in outcomes
        ]
        statement = _end_emission(self._connection.dialect.name)
        written = set(self._connection.execute(statement, {ROWS: rows}).scalars())
        self._make_steps(run_id, [outcome for outcome in outcomes if outcome.number in written])
        return written

    def _make_steps(self, run_id: str, outcomes: Sequence[OrderAcknowledged]) -> None:
        """Steps that orders share are sent once, as a shape that each of the orders names."""
        shapes = {id(outcome.steps): outcome.steps for outcome in outcomes}  # which live as long as the outcomes
        steps = [{"shape": shape, **values_of(step)} for shape, shared in shapes.items() for step in shared]
        if steps:
            rows = [
                {"order_number": outcome.number, "shape": id(outcome.steps), "reason": outcome.reason}
                for outcome in outcomes
            ]
            values = {"of_run": run_id, ROWS: rows, _SHAPES: steps}
            self._connection.execute(_insert_steps(self._connection.dialect.name), values)

    def forget(self, run_id: str, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), _CHUNK):
            of_chunk = orders.c.number.in_(numbers[start : start + _CHUNK])
            sending = orders.c.state == OrderState.SENDING
            self._connection.execute(delete(orders).where(orders.c.run_id == run_id, sending, of_chunk))

    def begun(self, run_id: str) -> dict[int, bool]:
        rows = self._connection.execute(select(orders.c.number, orders.c.state).where(orders.c.run_id == run_id))
        return {number: state == OrderState.SENDING for number, state in rows}

    def any_acknowledgement(self, run_id: str) -> str:
        of_run = select(orders.c.acknowledgement).where(orders.c.run_id == run_id)
        statement = of_run.where(orders.c.ack_code.in_(_POSITIVE), orders.c.acknowledgement != "").limit(1)
        return self._connection.execute(statement).scalar_one_or_none() or ""

    def cancel_waiting(self, run_id: str) -> int:
        cancelled, last = 0, -1
        while numbers := self._unclaimed(run_id, last):
            cancelled += self._cancel(run_id, numbers)
            last = numbers[-1]
        return cancelled

    def counts(self, run_id: str) -> dict[OrderState, int]:
        rows = self._connection.execute(
            select(orders.c.state, func.count()).where(orders.c.run_id == run_id).group_by(orders.c.state)
        )
        found = {OrderState(state): count for state, count in rows}
        return {state: found.get(state, 0) for state in OrderState}

    def _unclaimed(self, run_id: str, after: int) -> Sequence[int]:
        """The next orders that wait for a job that nobody has claimed, as it looks without a lock."""
        claimed = exists().where(_c.run_id == run_id, _c.order_number == orders.c.number, _c.state == StepState.RUNNING)
        unfinished = and_(orders.c.run_id == run_id, is_unfinished, orders.c.number > after)
        waiting = and_(unfinished, orders.c.state == OrderState.WAITING)
        statement = select(orders.c.number).where(waiting, ~claimed).order_by(orders.c.number).limit(_CHUNK)
        return self._connection.execute(statement).scalars().all()

    def _cancel(self, run_id: str, numbers: Sequence[int]) -> int:
        steps = self._connection.execute(
            select(_c.order_number, _c.step_index, _c.type, _c.state, _c.starts, _c.epoch)
            .where(_c.run_id == run_id, _c.order_number.in_(numbers), _c.state.in_((*_OPEN, StepState.RUNNING)))
            .order_by(_c.order_number, _c.step_index)
            .with_for_update()
        ).all()
        # Between the look and the lock a worker may have claimed some: those stop between their steps. Those that
        # ended have no open step any more.
        claimed = {step.order_number for step in steps if step.state == StepState.RUNNING}
        free = [step for step in steps if step.order_number not in claimed]
        epochs = {step.order_number: step.epoch for step in free}
        self._write_cancelled(run_id, list(epochs))
        new = [
            Event(
                run_id, STEP_CANCELLED, step.order_number, step.step_index, step.starts, step.epoch, {"type": step.type}
            )
            for step in free
        ]
        new += [Event(run_id, ORDER_CANCELLED, number, epoch=epoch) for number, epoch in epochs.items()]
        SqlJournal(self._connection).append(new)
        return len(epochs)

    def _write_cancelled(self, run_id: str, numbers: list[int]) -> None:
        self._connection.execute(
            update(step_executions)
            .where(_c.run_id == run_id, _c.order_number.in_(numbers), _c.state.in_(_OPEN))
            .values(state=StepState.CANCELLED, finished_at=database_now())
        )
        self._connection.execute(
            update(orders)
            .where(orders.c.run_id == run_id, orders.c.number.in_(numbers))
            .values(state=OrderState.CANCELLED, finished_at=database_now(), reason="the run was cancelled")
        )
        for table in (outbox, parked_jobs):
            self._connection.execute(delete(table).where(table.c.run_id == run_id, table.c.order_number.in_(numbers)))


@cache
def _insert_steps(dialect: str) -> Insert:
    names = ("step_index", "type", "state", "starts")
    fields = [(name, step_executions.c[name].type) for name in names]
    given = rowset(dialect, ("order_number", Integer()), ("shape", BigInteger()), ("reason", Text()))
    steps = rowset(dialect, ("shape", BigInteger()), *fields, parameter=_SHAPES)
    run_id = bindparam("of_run", type_=RunId)
    error = case((steps.c.state == StepState.FAILED, given.c.reason), else_="")
    ready_at = case((steps.c.state == StepState.READY, database_now()))
    finished_at = case((steps.c.state.not_in(_OPEN), database_now()))
    values = (run_id, given.c.order_number, *(steps.c[name] for name in names), error, ready_at, finished_at)
    source = select(*values).join_from(given, steps, given.c.shape == steps.c.shape)
    columns = ("run_id", "order_number", *names, "error", "ready_at", "finished_at")
    return insert(step_executions).from_select(columns, source)


@cache
def _end_emission(dialect: str) -> Update:
    given = rowset(
        dialect,
        ("run_id", RunId),
        ("number", Integer()),
        ("state", Text()),
        ("ack_code", Text()),
        ("acknowledgement", Text()),
        ("possibly_duplicated", Boolean()),
        ("reason", Text()),
    )
    return (
        update(orders)
        .where(
            orders.c.run_id == given.c.run_id,
            orders.c.number == given.c.number,
            orders.c.acknowledged_at.is_(None),
        )
        .values(
            state=given.c.state,
            ack_code=given.c.ack_code,
            acknowledgement=given.c.acknowledgement,
            possibly_duplicated=given.c.possibly_duplicated,
            reason=given.c.reason,
            acknowledged_at=database_now(),
            finished_at=case((given.c.state.in_(_TERMINAL), database_now())),
        )
        .returning(orders.c.number)
    )
