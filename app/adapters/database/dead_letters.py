"""Dead letters: jobs that are given up, with what is known of them, and messages that are no jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, String, Update, bindparam, select, update

from app.adapters.database.clock import database_now
from app.adapters.database.job_events import failed_step
from app.adapters.database.reopening import reopen
from app.adapters.database.rowset import ROWS, clean_text, insert_rows, rowset, values_of
from app.adapters.database.runs import by_id_or_key
from app.adapters.database.tables import Serial, dead_letters, runs
from app.domain.errors import NotFound
from app.domain.job import job_id
from app.domain.work import DeadLetterFilter, DeadLetterRow, DeadLetterState, JobFinish, NewDeadLetter

_c = dead_letters.c
_COLUMNS = [runs.c.run_key if field.name == "run_key" else _c[field.name] for field in fields(DeadLetterRow)]
_LETTERS = dead_letters.outerjoin(runs, runs.c.id == _c.run_id)


def write_deaths(connection: Connection, finishes: Sequence[JobFinish]) -> None:
    """The letters of jobs that died, in the order of the jobs."""
    insert_rows(connection, dead_letters, [_row_of_job(finish) for finish in finishes])


def select_letters(wanted: DeadLetterFilter) -> Select[Any]:
    return matching(select(*_COLUMNS).select_from(_LETTERS), wanted)


def to_letter(row: Row[Any]) -> DeadLetterRow:
    return DeadLetterRow(**{**row._mapping, "state": DeadLetterState(row.state)})


def matching(statement: Select[Any], wanted: DeadLetterFilter) -> Select[Any]:
    """The statement, which selects from the letters and their runs, for those that are wanted."""
    given = {
        _c.state: wanted.state,
        _c.queue: wanted.queue,
        _c.kind: wanted.kind,
        _c.step_type: wanted.step_type,
    }
    statement = statement.where(*(column == value for column, value in given.items() if value is not None))
    if wanted.run is not None:
        statement = statement.where(by_id_or_key(wanted.run))
    if wanted.search:
        statement = statement.where(_c.reason.icontains(clean_text(wanted.search), autoescape=True))
    return statement


class SqlDeadLetters:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, letters: Sequence[NewDeadLetter]) -> None:
        insert_rows(self._connection, dead_letters, [_row_of_message(letter) for letter in letters])

    def get(self, id_: int) -> DeadLetterRow:
        statement = select(*_COLUMNS).select_from(_LETTERS).where(_c.id == id_)
        row = self._connection.execute(statement).one_or_none()
        if row is None:
            raise NotFound(f"no dead letter {id_}")
        return to_letter(row)

    def matching(self, wanted: DeadLetterFilter, limit: int) -> list[int]:
        statement = matching(select(_c.id).select_from(_LETTERS), wanted)
        return list(self._connection.execute(statement.order_by(_c.id).limit(limit)).scalars())

    def reopen(self, ids: Sequence[int]) -> dict[str, int]:
        reopened = reopen(self._connection, ids)
        self._settle(list(reopened), DeadLetterState.RETRIED)
        return dict(Counter(reopened.values()))

    def discard(self, ids: Sequence[int]) -> int:
        return self._settle(ids, DeadLetterState.DISCARDED)

    def _settle(self, ids: Sequence[int], state: DeadLetterState) -> int:
        given = {ROWS: [{"id": id_} for id_ in ids], "settled": state}
        return self._connection.execute(_settle(self._connection.dialect.name), given).rowcount


def _row_of_job(finish: JobFinish) -> dict[str, Any]:
    assert finish.death is not None
    step = failed_step(finish)
    return {
        "run_id": finish.run_id,
        "order_number": finish.order_number,
        "step_index": step.step_index,
        "step_type": step.type,
        "epoch": finish.epoch,
        "queue": finish.queue,
        "job_id": job_id(finish.run_id, finish.order_number, finish.head, finish.epoch),
        "body": finish.body,
        "worker": finish.worker,
        **values_of(finish.death),
    }


def _row_of_message(letter: NewDeadLetter) -> dict[str, Any]:
    named = {"queue": letter.queue, "job_id": letter.job_id, "worker": letter.worker}
    return {name: _cut(name, text) for name, text in named.items()} | {"body": letter.body, **values_of(letter.death)}


def _cut(name: str, text: str) -> str:
    """As much as the column takes: whoever sent a message may have named it at any length."""
    type_ = _c[name].type
    assert isinstance(type_, String)
    return text[: type_.length]


@cache
def _settle(dialect: str) -> Update:
    given = rowset(dialect, ("id", Serial))
    return (
        update(dead_letters)
        .where(_c.id == given.c.id, _c.state == DeadLetterState.OPEN)
        .values(state=bindparam("settled"), settled_at=database_now())
    )
