"""Jobs that are taken out of a queue by an operator: nobody shall run them as they are."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Select, Update, and_, exists, select, update

from app.adapters.database.clock import database_now
from app.adapters.database.job_claims import park
from app.adapters.database.job_events import Parking
from app.adapters.database.job_rows import KEY, is_unfinished, key, locked_in_order, named_by
from app.adapters.database.rowset import ROWS, rowset
from app.adapters.database.tables import RunId, orders, outbox, step_executions
from app.domain.run import StepState
from app.domain.work import JobReference, Withdrawn

_c = step_executions.c


def withdraw(connection: Connection, run_id: str, step_indexes: Sequence[int], limit: int) -> list[Withdrawn]:
    rows = connection.execute(_published_jobs(run_id, step_indexes).limit(limit)).all()
    taken = [
        Withdrawn(JobReference(row.order_number, row.step_index, row.epoch, row.starts), row.type, str(uuid.uuid4()))
        for row in rows
    ]
    if taken:
        given = [key(run_id, each.job.order_number, each.job.step_index) | {"fence": each.fence} for each in taken]
        connection.execute(_fence_steps(connection.dialect.name), {ROWS: given})
    return taken


def set_aside(
    connection: Connection, run_id: str, withdrawn: Sequence[Withdrawn], waiting_for: str, reason: str
) -> None:
    park(
        connection,
        [
            Parking(
                run_id,
                each.job.order_number,
                each.job.step_index,
                each.job.starts,
                each.job.epoch,
                each.type,
                waiting_for,
                reason,
            )
            for each in withdrawn
        ],
    )


def _published_jobs(run_id: str, step_indexes: Sequence[int]) -> Select[Any]:
    """READY, and neither in the outbox nor due later: their messages are, or were, with the broker."""
    head = and_(_c.run_id == orders.c.run_id, _c.order_number == orders.c.number)
    waiting = exists().where(outbox.c.run_id == run_id, outbox.c.order_number == orders.c.number)
    statement = select(_c.order_number, _c.step_index, _c.epoch, _c.starts, _c.type)
    statement = statement.join_from(orders, step_executions, head).where(orders.c.run_id == run_id, is_unfinished)
    ready = and_(_c.state == StepState.READY, _c.step_index.in_(step_indexes))
    return locked_in_order(statement.where(ready, ~waiting))


@cache
def _fence_steps(dialect: str) -> Update:
    given = rowset(dialect, *KEY, ("fence", RunId))
    values = {"state": StepState.RUNNING, "fence": given.c.fence, "lease_until": database_now()}
    return update(step_executions).where(named_by(given)).values(**values)
