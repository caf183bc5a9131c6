"""The run's state machine along every path: the domain's table, the database's code and the trigger agree."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, update
from sqlalchemy.exc import IntegrityError

from app.adapters.database import SqlDatabase
from app.adapters.database.engine import make_engine
from app.adapters.database.tables import runs
from app.domain.errors import Conflict
from app.domain.run import TERMINAL_RUN_STATES, TRANSITIONS, RunState, check_transition
from tests.contract.database_fixtures import new_run, sqlite_database, url_of
from tests.fuzz.profile import EXAMPLES, examples

__all__ = ["sqlite_database"]  # a fixture

LONGEST = 8 if EXAMPLES else 6


def paths(longest: int) -> Iterator[list[RunState]]:
    """Every path from PENDING of at most so many transitions."""
    waiting = [[RunState.PENDING]]
    while waiting:
        path = waiting.pop()
        yield path
        if len(path) <= longest:
            waiting += [[*path, following] for following in TRANSITIONS[path[-1]]]


def test_on_every_path_a_run_can_still_end_and_an_end_is_left_only_by_a_retry() -> None:
    """The states from which an end can be reached, backwards from the ends; then every path stays among them."""
    can_end = set(TERMINAL_RUN_STATES)
    while more := {state for state in RunState if TRANSITIONS[state] & can_end} - can_end:
        can_end |= more
    for path in paths(LONGEST):
        assert path[-1] in can_end
        for state, following in pairwise(path):
            check_transition(state, following)
            assert not state.is_terminal or following is RunState.WAITING_ON_WORKERS


@pytest.fixture(scope="module")
def engine(sqlite_database: SqlDatabase) -> Iterator[Engine]:
    engine = make_engine(url_of(sqlite_database))
    yield engine
    engine.dispose()


@examples(25)
@given(wanted=st.lists(st.sampled_from(RunState), max_size=15), bold=st.booleans())
def test_code_trigger_and_table_walk_together(
    sqlite_database: SqlDatabase, engine: Engine, wanted: list[RunState], bold: bool
) -> None:
    """Any states are asked for, one after the other: those that the table has happen, the others change nothing."""
    run, state, moments = new_run(), RunState.PENDING, [RunState.PENDING]
    with sqlite_database.transaction() as work:
        work.runs.add(run)
    for following in wanted:
        if bold and TRANSITIONS[state]:
            following = sorted(TRANSITIONS[state])[len(moments) % len(TRANSITIONS[state])]
        allowed = following in TRANSITIONS[state]
        assert _trigger_allows(engine, run.id, following) is (allowed or following is state)
        if allowed:
            with sqlite_database.transaction() as work:
                assert work.runs.move(run.id, following).state is following
            state = following
            moments.append(state)
        else:
            with pytest.raises(Conflict), sqlite_database.transaction() as work:
                work.runs.move(run.id, following)
    with sqlite_database.transaction() as work:
        assert work.runs.get(run.id).state is state
    found, _ = sqlite_database.feed.read(run.id, None, 100)
    assert [recorded.event.data["state"] for recorded in found] == moments


def _trigger_allows(engine: Engine, run_id: str, following: RunState) -> bool:
    """Whether another program could write this state; it is rolled back."""
    with engine.connect() as connection:
        try:
            connection.execute(update(runs).where(runs.c.id == run_id).values(state=following))
        except IntegrityError:
            return False
        finally:
            connection.rollback()
    return True
