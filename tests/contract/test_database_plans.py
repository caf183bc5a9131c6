"""How PostgreSQL looks for the rows of a run that it has never gathered statistics of, beside many that it knows.

It would hold such a run to have one row, and read all of the run's rows for each look at the newest: a run would take
with the square of its orders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from app.adapters.database import SqlDatabase
from app.domain.run import RunState
from app.domain.work import PAUSE
from tests.contract.database_fixtures import Play, new_run
from tests.services.postgres import Postgres, running_postgres

KNOWN_RUNS = 4
ORDERS = 400


@pytest.fixture(scope="module")
def ours() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def unknown(ours: Postgres) -> Iterator[Play]:
    """A run that came after the statistics were gathered, with jobs in the outbox, parked and published."""
    with ours.new_database() as url:
        database = SqlDatabase(url)
        database.upgrade()
        for _ in range(KNOWN_RUNS):
            played(database)
        with database._engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE")
        yield played(database)
        database.close()


def played(database: SqlDatabase) -> Play:
    play = Play(database, new_run(requested=ORDERS))
    play.acknowledge(*range(ORDERS))
    done, waiting = range(ORDERS // 2), range(ORDERS // 2, 3 * ORDERS // 4)
    play.publish(len(done) + len(waiting))
    play.finish(*(play.finished(number, claim) for number, claim in zip(done, play.claim(*done), strict=True)))
    play.move(RunState.RUNNING, RunState.PAUSED)
    play.claim(*waiting)
    assert play.parked() == {PAUSE: len(waiting)} and play.waiting() == ORDERS // 4
    return play


@contextmanager
def plans_of(database: SqlDatabase) -> Iterator[list[str]]:
    """The plan of each statement that is executed in the block."""
    plans: list[str] = []

    def explain(_: Any, cursor: Any, statement: str, parameters: Any, *others: Any) -> None:
        with cursor.connection.cursor() as beside:
            beside.execute(f"EXPLAIN {statement}", parameters)
            plans.append("\n".join(line for (line,) in beside.fetchall()))

    event.listen(database._engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(database._engine, "before_cursor_execute", explain)


def read_on(play: Play) -> None:
    _, middle = play.database.feed.read(play.run.id, None, ORDERS)
    play.database.feed.read(play.run.id, middle, 100)


LOOKS: dict[str, tuple[Callable[[Play], object], str]] = {
    "the events behind a cursor": (read_on, "ix_simulation_run_events_feed"),
    "the newest event": (lambda play: play.database.feed.newest(play.run.id), "ix_simulation_run_events_feed"),
    "events held back": (lambda play: play.database.feed.holds_back(play.run.id), "ix_simulation_run_events_feed"),
    "due entries": (lambda play: play.do(lambda work: work.outbox.take(play.run.id, 50)), "ix_outbox_due"),
    "parked jobs": (
        lambda play: play.do(lambda work: work.jobs.release(play.run.id, PAUSE, 10)),
        "ix_parked_jobs_waiting",
    ),
    "unfinished orders": (
        lambda play: play.do(lambda work: work.jobs.outstanding(play.run.id)),
        "ix_simulation_orders_unfinished",
    ),
}


@pytest.mark.parametrize("what", LOOKS)
def test_the_index_that_is_made_for_a_question_answers_it(unknown: Play, what: str) -> None:
    look, index = LOOKS[what]
    with plans_of(unknown.database) as plans:
        look(unknown)
    [*_, plan] = [plan for plan in plans if "simulation_" in plan or index in plan]
    assert index in "\n".join(plans) and "Sort" not in plan, "\n\n".join(plans)
