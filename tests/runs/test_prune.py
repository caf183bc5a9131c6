"""Removing what has been kept for long enough."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from app.adapters.database.engine import make_engine
from app.adapters.database.tables import runs
from app.domain.errors import NotFound
from app.domain.run import Run, RunState
from app.runs.producing.give_up import give_up
from app.runs.tending import prune as pruning
from app.runs.tending.prune import Expired, find_expired, prune
from tests.contract.database_fixtures import url_of
from tests.runs.conftest import World

DAY = 86_400.0


def ended(world: World, days_ago: float, orders: int = 1) -> Run:
    """A run that ended so long ago."""
    run = give_up(world.database, world.start(orders=orders).id, "test", 5.0)
    assert run.finished_at is not None
    age(world, run, run.finished_at - timedelta(days=days_ago))
    return run


def age(world: World, run: Run, finished_at: datetime) -> None:
    engine = make_engine(url_of(world.database))
    with engine.begin() as connection:
        connection.execute(update(runs).where(runs.c.id == run.id).values(finished_at=finished_at))
    engine.dispose()


def is_there(world: World, run: Run) -> bool:
    try:
        with world.database.transaction() as work:
            work.runs.get(run.id)
    except NotFound:
        return False
    return True


def prune_all(world: World, folder: Path, expired: Expired) -> list[str]:
    """The keys of the runs that are told of as they go."""
    told: list[str] = []
    removed = prune(
        world.database, expired, world.studies, lambda id_: folder / id_, tell=lambda run: told.append(run.run_key)
    )
    assert told == [run.run_key for run in removed.runs]
    return told


def test_old_runs_go_the_oldest_first_with_their_files(world: World, tmp_path: Path) -> None:
    older, oldest, young = ended(world, 31), ended(world, 40), ended(world, 1)
    going_on = world.start()
    for run in (older, young):
        (tmp_path / run.id).mkdir()
    expired = find_expired(world.database, 30 * DAY)
    assert not expired.is_empty and all(is_there(world, run) for run in (oldest, older))
    assert prune_all(world, tmp_path, expired) == [oldest.run_key, older.run_key]
    assert [is_there(world, run) for run in (oldest, older, young, going_on)] == [False, False, True, True]
    assert [(tmp_path / run.id).exists() for run in (older, young)] == [False, True]
    assert (older.id, None) in world.studies.removed
    assert find_expired(world.database, 30 * DAY).is_empty


def test_the_newest_runs_can_be_kept_whatever_their_age(world: World) -> None:
    oldest, older, old = (ended(world, days) for days in (50, 40, 31))
    world.start()  # one that goes on is none of those that have ended
    assert [run.id for run in find_expired(world.database, 30 * DAY, keep_runs=1).runs] == [oldest.id, older.id]
    assert [run.id for run in find_expired(world.database, 45 * DAY, keep_runs=1).runs] == [oldest.id]
    assert find_expired(world.database, 30 * DAY, keep_runs=3).runs == []
    assert len(find_expired(world.database, 30 * DAY, keep_runs=0).runs) == 3
    assert old.state is RunState.FAILED


def test_a_run_is_removed_in_transactions_of_some_orders(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.run_to_end(world.start(orders=5))
    assert run.finished_at is not None
    age(world, run, run.finished_at - timedelta(days=31))
    monkeypatch.setattr(pruning, "ORDERS", 2)
    expired, asked = find_expired(world.database, 30 * DAY), 0

    def is_enough() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3  # before the run, and before each of its first two transactions

    prune(world.database, expired, world.studies, lambda id_: tmp_path / id_, should_stop=is_enough)
    with world.database.transaction() as work:
        assert sum(work.orders.counts(run.id).values()) == 1
    assert prune_all(world, tmp_path, find_expired(world.database, 30 * DAY)) == [run.run_key]
    assert not is_there(world, run)


def test_two_at_once_do_each_other_no_harm(world: World, tmp_path: Path) -> None:
    ended(world, 31)
    expired = find_expired(world.database, 30 * DAY)
    assert len(prune_all(world, tmp_path, expired)) == 1
    assert prune_all(world, tmp_path, expired) == []


def test_a_run_that_was_taken_up_again_stays(world: World, tmp_path: Path) -> None:
    run = ended(world, 31)
    expired = find_expired(world.database, 30 * DAY)
    with world.database.transaction() as work:
        work.runs.reopen(run.id, "test")
    assert prune_all(world, tmp_path, expired) == []
    assert is_there(world, run)
