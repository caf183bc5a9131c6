"""Runs: their states by code and by the database's own trigger, their end, and nothing left of them once removed."""

from __future__ import annotations

import uuid
from dataclasses import replace
from itertools import product

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.exc import IntegrityError

from app.adapters.database import SqlDatabase
from app.adapters.database.tables import run_transitions, runs
from app.domain.errors import Conflict, NotFound
from app.domain.run import TRANSITIONS, RunState, Verdict
from app.domain.work import Finding
from tests.contract.database_fixtures import Play, new_run, tables_with_rows_of


def test_a_run_comes_back_by_id_and_by_key(database: SqlDatabase) -> None:
    run = new_run(labels={"site": "Zürich"}, document={"name": "x", "nested": [1, {"a": None}]}, template_id=None)
    with database.transaction() as work:
        work.runs.add(run)
        stored = work.runs.get(run.id)
        assert stored == work.runs.get(run.run_key) == work.runs.get(run.run_key.lower())
        assert stored == replace(run, created_at=stored.created_at)
    assert stored.created_at.tzinfo is not None


def test_a_run_key_is_given_once(database: SqlDatabase) -> None:
    first, second = new_run(), new_run()
    with database.transaction() as work:
        work.runs.add(first)
        with pytest.raises(Conflict, match=first.run_key):
            work.runs.add(replace(second, run_key=first.run_key))
        work.runs.add(second)  # the transaction goes on


@pytest.mark.parametrize(
    "unknown", [str(uuid.UUID(int=7)), "0000000Z", "", "nobody", "nul\x00nul", "\ud800", "x" * 999]
)
def test_a_run_that_is_not_there(database: SqlDatabase, unknown: str) -> None:
    with database.transaction() as work:
        with pytest.raises(NotFound):
            work.runs.get(unknown)
        with pytest.raises(NotFound):
            work.runs.move(unknown, RunState.RUNNING)
        with pytest.raises(NotFound):
            work.runs.conclude(unknown, {}, Verdict.PASS)
        with pytest.raises(NotFound):
            work.runs.remove(unknown)


def test_the_database_has_the_same_transition_table(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = {tuple(row) for row in connection.execute(run_transitions.select())}
    assert rows == {(state, following) for state, others in TRANSITIONS.items() for following in others}


def test_code_and_trigger_allow_the_same_transitions(database: SqlDatabase, engine: Engine) -> None:
    for state, following in product(RunState, RunState):
        run = new_run(state=state)
        with database.transaction() as work:
            work.runs.add(run)
        allowed = following in TRANSITIONS[state]
        assert by_trigger(engine, run.id, following) is (allowed or following is state), (state, following)
        assert by_code(database, run.id, following) is allowed, (state, following)


def by_trigger(engine: Engine, run_id: str, following: RunState) -> bool:
    with engine.connect() as connection:
        try:
            connection.execute(update(runs).where(runs.c.id == run_id).values(state=following))
        except IntegrityError:
            return False
        finally:
            connection.rollback()
        return True


def by_code(database: SqlDatabase, run_id: str, following: RunState) -> bool:
    with database.transaction() as work:
        try:
            return work.runs.move(run_id, following).state is following
        except Conflict:
            return False


def test_a_run_notes_its_moments_and_reasons(play: Play) -> None:
    play.move(RunState.RUNNING, RunState.PAUSED, RunState.RUNNING, RunState.WAITING_ON_WORKERS, RunState.RECONCILING)
    with play.database.transaction() as work:
        ended = work.runs.move(play.run.id, RunState.FAILED, "nul \x00 and half a pair \ud800")
    assert ended.started_at is not None and ended.emitted_at is not None and ended.finished_at is not None
    assert ended.created_at <= ended.started_at <= ended.emitted_at <= ended.finished_at
    assert ended.reason == "nul \ufffd and half a pair ?"
    states = [event.data["state"] for event in play.events()]
    assert states[:3] == ["PENDING", "RUNNING", "PAUSED"] and states[-1] == "FAILED"
    assert play.events()[-1].data["reason"] == ended.reason


def test_a_reopened_run_has_not_finished(play: Play) -> None:
    play.move(RunState.FAILED, RunState.WAITING_ON_WORKERS)
    with play.database.transaction() as work:
        assert work.runs.get(play.run.id).finished_at is None


def test_the_summary_and_verdict_are_kept(play: Play) -> None:
    summary = {"orders": {"completed": 3}, "text": "Grüße \U0001f4a9", "none": None, "not finite": float("nan")}
    with play.database.transaction() as work:
        work.runs.conclude(play.run.id, summary, Verdict.INCONCLUSIVE)
    with play.database.transaction() as work:
        run = work.runs.get(play.run.id)
    assert run.summary == summary | {"not finite": None}
    assert run.verdict is Verdict.INCONCLUSIVE


def test_a_failed_block_leaves_nothing(database: SqlDatabase) -> None:
    run = new_run()
    with pytest.raises(ZeroDivisionError), database.transaction() as work:
        work.runs.add(run)
        raise ZeroDivisionError
    with database.transaction() as work, pytest.raises(NotFound):
        work.runs.get(run.id)


def test_removing_a_run_leaves_no_row_of_it_and_all_of_the_others(play: Play, engine: Engine) -> None:
    other = Play(play.database)
    for each in (play, other):
        each.acknowledge(0, 1)
        with each.database.transaction() as work:
            work.journal.find(each.run.id, 0, [Finding(0, "X", "missing", "hl7", "")])
    with play.database.transaction() as work, pytest.raises(Conflict, match="cancel it first"):
        work.runs.remove(play.run.id)
    assert len(tables_with_rows_of(engine, play.run.id)) == 6
    play.move(RunState.FAILED)
    with play.database.transaction() as work:
        work.runs.remove(play.run.run_key)
    assert tables_with_rows_of(engine, play.run.id) == []
    assert len(tables_with_rows_of(engine, other.run.id)) == 6
