"""What the statements about jobs share: how they name step executions, and the order in which they lock them.

Whoever changes a job's rows has locked its head first, and heads are locked in key order, so that two groups can't
wait for each other.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import FromClause, Integer, Select, and_, literal_column

from app.adapters.database.rowset import Field
from app.adapters.database.tables import RunId, orders, step_executions
from app.domain.run import StepState

KEY: tuple[Field, ...] = (("run_id", RunId), ("order_number", Integer()), ("step_index", Integer()))
DONE = (StepState.SUCCEEDED, StepState.FAILED, StepState.CANCELLED)
# As literals, as in the partial index: SQLite does not find it when the states are parameters.
is_unfinished = orders.c.state.in_([literal_column("'SENDING'"), literal_column("'WAITING'")])
_c = step_executions.c


def key(run_id: str, order_number: int, step_index: int) -> dict[str, Any]:
    return {"run_id": run_id, "order_number": order_number, "step_index": step_index}


def named_by(given: FromClause) -> Any:
    """The step execution that a given row names."""
    return and_(
        _c.run_id == given.c.run_id, _c.order_number == given.c.order_number, _c.step_index == given.c.step_index
    )


def locked_in_order(statement: Select[Any], *, skip_locked: bool = False) -> Select[Any]:
    in_order = statement.order_by(_c.run_id, _c.order_number, _c.step_index)
    return in_order.with_for_update(of=step_executions, skip_locked=skip_locked)
