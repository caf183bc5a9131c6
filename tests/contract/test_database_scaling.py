"""Scaling decisions, pins and heartbeats as rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, update

from app.adapters.database import SqlDatabase
from app.adapters.database.clock import read_now
from app.adapters.database.tables import scaling_decisions, workers
from app.domain.errors import InvalidInput
from app.domain.scaling import PoolLoad, ScalingDecision, ScalingKind
from app.ports import WorkerBeat

LOAD = PoolLoad(12, 3, 4, 2, 7.5, 0.25)
BEAT = WorkerBeat("w-1", ("a", "b"), 4, 2, 100, 3.5, 0.5)


@pytest.fixture
def pool() -> str:
    """A name of the test's own: the database is shared."""
    return f"p-{uuid4().hex[:12]}"


def add(database: SqlDatabase, pool: str, seconds_ago: float, applied: bool = True, **said: object) -> int:
    with database.transaction() as work:
        at = work.scaling.now() - timedelta(seconds=seconds_ago)
        made = ScalingDecision(pool, at, ScalingKind.OUT, 1, 4, 4, "12 ready", 5.0, LOAD)
        return work.scaling.add(replace(made, **said), "uid-1", applied=applied)  # type: ignore[arg-type]


def test_a_decision_comes_back_as_it_was(database: SqlDatabase, pool: str) -> None:
    id_ = add(database, pool, 1.0, applied=False)
    held = add(database, pool, 0.5, kind=ScalingKind.HELD, wanted=None, load=None, after=1, reason="away \x00 now")
    with database.transaction() as work:
        work.scaling.mark_applied(id_)
        first, second = work.scaling.history(pool, 60.0)
    assert (first.id, first.applied, first.identity, first.decision.load) == (id_, True, "uid-1", LOAD)
    assert (first.decision.kind, first.decision.before, first.decision.after) == (ScalingKind.OUT, 1, 4)
    assert (second.id, second.decision.load, second.decision.wanted) == (held, None, None)
    assert "\x00" not in second.decision.reason


def test_the_history_is_of_the_last_seconds_and_the_newest_one_before(database: SqlDatabase, pool: str) -> None:
    ids = [add(database, pool, seconds) for seconds in (500, 400, 50, 20)]
    add(database, f"{pool}-other", 10)
    with database.transaction() as work:
        assert [record.id for record in work.scaling.history(pool, 100.0)] == ids[1:]
        assert [record.id for record in work.scaling.history(pool, 0.0)] == ids[-1:]
        assert work.scaling.history("nobody", 100.0) == []


def test_decisions_are_paged_newest_first(database: SqlDatabase, pool: str) -> None:
    ids = [add(database, pool, 5 - n) for n in range(5)]
    add(database, f"{pool}-other", 0)
    found: list[int] = []
    after = None
    while True:
        page = database.queries.scaling_decisions(pool, after=after, limit=2)
        found += [record.id for record in page.rows]
        after = page.next_cursor
        if after is None:
            break
    assert found == ids[::-1]
    with pytest.raises(InvalidInput):
        database.queries.scaling_decisions(pool, after="not ours", limit=2)


def test_old_decisions_are_forgotten(database: SqlDatabase, engine: Engine, pool: str) -> None:
    old, young = add(database, pool, 10), add(database, pool, 5)
    with engine.begin() as connection:
        long_ago = read_now(connection) - timedelta(days=8)
        connection.execute(update(scaling_decisions).where(scaling_decisions.c.id == old).values(at=long_ago))
    with database.transaction() as work:
        work.scaling.prune(7.0)
        assert [record.id for record in work.scaling.history(pool, 10.0**6)] == [young]


def test_a_pool_has_one_pin_at_most(database: SqlDatabase, pool: str) -> None:
    with database.transaction() as work:
        assert work.pins.get(pool) is None
        work.pins.set(pool, 3, 60.0, "ada")
        pin = work.pins.set(pool, 5, 120.0, "grace")
        assert work.pins.get(pool) == pin
        assert (pin.replicas, pin.by) == (5, "grace")
        assert 119 < (pin.until - work.scaling.now()).total_seconds() <= 120
        assert work.pins.remove(pool) and not work.pins.remove(pool)
        assert work.pins.get(pool) is None


def test_workers_are_alive_while_they_are_heard_of(database: SqlDatabase, engine: Engine, pool: str) -> None:
    beat = replace(BEAT, name=pool)

    def mine() -> list[WorkerBeat]:
        with database.transaction() as work:
            return [row.beat for row in work.workers.alive() if row.beat.name == pool]

    for done in (100, 101):
        with database.transaction() as work:
            work.workers.beat(replace(beat, jobs_done=done))
    assert mine() == [replace(beat, jobs_done=101)]
    with engine.begin() as connection:
        a_while_ago = read_now(connection) - timedelta(seconds=30)
        connection.execute(update(workers).where(workers.c.name == pool).values(seen_at=a_while_ago))
    assert mine() == []
    with database.transaction() as work:
        work.workers.beat(beat)
    assert mine() == [beat]
    with database.transaction() as work:
        work.workers.remove(pool)
    assert mine() == []
