"""Runs: their states by code and by the database's own trigger, their end, and nothing left of them once removed."""

from __future__ import annotations

import uuid
from dataclasses import replace
from itertools import product

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import IntegrityError

from app.adapters.database import SqlDatabase
from app.adapters.database.tables import run_transitions, runs, summaries
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


@pytest.mark.parametrize("end", [RunState.FAILED, RunState.COMPLETED_WITH_ERRORS])
def test_a_run_that_ended_with_errors_is_reopened_at_the_next_epoch(play: Play, engine: Engine, end: RunState) -> None:
    play.move(RunState.RUNNING, RunState.WAITING_ON_WORKERS, RunState.RECONCILING)
    with play.database.transaction() as work:
        work.runs.conclude(play.run.id, {"epoch": "first"}, Verdict.FAIL)
        work.runs.move(play.run.id, end, "3 orders failed")
    reopened = play.do(lambda work: work.runs.reopen(play.run.id, "3 dead letters are tried again"))
    assert (reopened.state, reopened.epoch, reopened.finished_at) == (RunState.WAITING_ON_WORKERS, 1, None)
    assert (reopened.summary, reopened.verdict, reopened.reason) == (None, None, "3 dead letters are tried again")
    told = play.events()[-1]
    assert (told.epoch, told.data) == (1, {"state": "WAITING_ON_WORKERS", "reason": "3 dead letters are tried again"})
    assert play.run.id in {run.id for run in play.database.queries.runs_to_resume()}
    with play.database.transaction() as work:
        for _ in range(2):  # a commit whose answer was lost
            work.runs.conclude(play.run.id, {"epoch": "second"}, Verdict.PASS)
        assert work.runs.get(play.run.id).summary == {"epoch": "second"}
    with engine.connect() as connection:
        columns = (summaries.c.epoch, summaries.c.summary, summaries.c.verdict)
        kept = connection.execute(select(*columns).where(summaries.c.run_id == play.run.id).order_by(columns[0])).all()
    assert [tuple(row) for row in kept] == [(0, {"epoch": "first"}, "fail"), (1, {"epoch": "second"}, "pass")]


@pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.FAILED, RunState.COMPLETED_WITH_ERRORS}))
def test_no_other_run_can_be_reopened(database: SqlDatabase, state: RunState) -> None:
    run = new_run(state=state)
    with database.transaction() as work:
        work.runs.add(run)
        with pytest.raises(Conflict):
            work.runs.reopen(run.id, "again")
        assert work.runs.get(run.id).epoch == 0


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
        each.acknowledge(0, 1, 2)
        [dead] = each.claim(1)
        each.finish(each.died(1, dead))
        each.move(RunState.RUNNING, RunState.PAUSED)
        each.claim(2)
        with each.database.transaction() as work:
            work.journal.find(each.run.id, 0, [Finding(0, "X", "missing", "hl7", "")])
            work.runs.conclude(each.run.id, {}, Verdict.PASS)
    with play.database.transaction() as work, pytest.raises(Conflict, match="cancel it first"):
        work.runs.remove(play.run.id)
    assert len(tables_with_rows_of(engine, play.run.id)) == 9
    play.move(RunState.FAILED)
    with play.database.transaction() as work:
        work.runs.remove(play.run.run_key)
    assert tables_with_rows_of(engine, play.run.id) == []
    assert len(tables_with_rows_of(engine, other.run.id)) == 9
