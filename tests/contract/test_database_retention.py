"""What is old as rows: found by the database's clock, and removed a bounded piece at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, insert, select, update

from app.adapters.database import SqlDatabase
from app.adapters.database.tables import dead_letters, idempotency_keys, runs, scaling_decisions, workers
from app.domain.errors import Conflict, NotFound
from app.domain.run import RunState
from app.domain.scaling import ScalingDecision, ScalingKind
from app.domain.work import DeadLetterState, Death, Finding, NewDeadLetter
from app.ports import RequestKey, WorkerBeat
from tests.contract.database_fixtures import Play, tables_with_rows_of

LONG_AGO = timedelta(days=4000)  # nothing of other tests is so old


@pytest.fixture
def before(database: SqlDatabase) -> datetime:
    with database.transaction() as work:
        return work.retention.now() - LONG_AGO / 2


def end(play: Play, engine: Engine, state: RunState = RunState.FAILED) -> None:
    """The run has ended, long ago."""
    play.move(*dict.fromkeys((RunState.RUNNING, state)))
    with engine.begin() as connection:
        begun = connection.execute(select(runs.c.created_at).where(runs.c.id == play.run.id)).scalar_one()
        values = {"finished_at": begun - LONG_AGO}
        connection.execute(update(runs).where(runs.c.id == play.run.id).values(values))


def expired(play: Play, before: datetime, keep: int = 0) -> list[str]:
    found = play.do(lambda work: work.retention.ended_runs(before, keep))
    assert [run.ended_at for run in found] == sorted(run.ended_at for run in found)
    return [run.run_key for run in found if run.run_key == play.run.run_key]


def test_a_run_counts_from_its_end(play: Play, engine: Engine, before: datetime) -> None:
    assert expired(play, before) == []
    end(play, engine)
    assert expired(play, before) == [play.run.run_key]
    assert expired(play, before - LONG_AGO) == []
    assert expired(play, before, keep=100_000) == []


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING])
def test_a_run_that_goes_on_is_never_removed(play: Play, engine: Engine, before: datetime, state: RunState) -> None:
    play.acknowledge(0)
    end(play, engine, state)  # however old a moment stands in its row
    assert expired(play, before) == []
    with pytest.raises(Conflict):
        play.do(lambda work: work.retention.shrink(play.run.id, before, 10))
    assert play.waiting() == 1


def test_a_run_that_ended_again_meanwhile_is_not_old(play: Play, before: datetime) -> None:
    play.move(RunState.RUNNING, RunState.FAILED)
    with pytest.raises(Conflict):
        play.do(lambda work: work.retention.shrink(play.run.id, before, 10))


def test_its_rows_go_in_pieces_and_the_rest_with_the_run(play: Play, engine: Engine, before: datetime) -> None:
    play.acknowledge(*range(5))
    play.publish()
    play.finish(*(play.died(number, *play.claim(number)) for number in (0, 1, 2)))
    play.do(lambda work: work.journal.find(play.run.id, 0, [Finding(1, "A", "missing", "hl7", "gone")]))
    end(play, engine)
    kept = Play(play.database)
    kept.acknowledge(*range(5))

    left = []
    while play.do(lambda work: work.retention.shrink(play.run.id, before, 2)):
        left.append((len(play.letters()), sum(play.counts().values())))
    assert left == [(1, 5), (0, 5), (0, 3), (0, 1), (0, 0)]
    assert {event.kind for event in play.events()} == {"run.state"}
    play.do(lambda work: work.runs.remove(play.run.id))
    assert tables_with_rows_of(engine, play.run.id) == []
    assert sum(kept.counts().values()) == kept.waiting() == 5
    with pytest.raises(NotFound):
        play.do(lambda work: work.retention.shrink(play.run.id, before, 2))


# --- records ---


class Rollback(Exception):
    """Nothing of it stays."""


@pytest.fixture
def records(database: SqlDatabase, engine: Engine) -> str:
    """One of each kind, that is long ago; and one of each that is not, by the names that they end with."""
    name = uuid4().hex[:8]
    with database.transaction() as work:
        now = work.scaling.now()
        for each, at in ((f"o{name}", now - LONG_AGO), (f"n{name}", now)):
            work.scaling.add(ScalingDecision(each, at, ScalingKind.OUT, 1, 2, 2, "", 1.0, None), "uid", applied=True)
            work.idempotency.claim(RequestKey(each, "k"), "f", 60.0)
            work.workers.beat(WorkerBeat(each, ("q",), 1, 0, 0, 0.0, 0.0))
            work.dead_letters.add([NewDeadLetter("q", each, "", Death("undeliverable", "no job"), "w")])
            work.dead_letters.add([NewDeadLetter("q", f"open-{each}", "", Death("undeliverable", "no job"), "w")])
    with engine.begin() as connection:
        old = f"o{name}"
        for table, key, at in (
            (idempotency_keys, "caller", "created_at"),
            (workers, "name", "seen_at"),
            (dead_letters, "job_id", "at"),
        ):
            connection.execute(update(table).where(table.c[key].in_([old, f"open-{old}"])).values({at: now - LONG_AGO}))
        for each, at in ((old, now - LONG_AGO), (f"n{name}", now)):
            settled = {"state": DeadLetterState.DISCARDED, "settled_at": at}
            connection.execute(update(dead_letters).where(dead_letters.c.job_id == each).values(settled))
    return name


def names_left(engine: Engine, name: str) -> dict[str, list[str]]:
    with engine.connect() as connection:
        columns = (scaling_decisions.c.pool, idempotency_keys.c.caller, workers.c.name, dead_letters.c.job_id)
        return {
            column.table.name: sorted(connection.execute(select(column).where(column.endswith(name))).scalars())
            for column in columns
        }


def test_old_records_are_counted_and_forgotten(
    database: SqlDatabase, engine: Engine, before: datetime, records: str
) -> None:
    one_of_each = dict.fromkeys(names_left(engine, records), 1)
    with database.transaction() as work:
        assert work.retention.old_records(before) == one_of_each
        assert work.retention.forget(before, 100) == one_of_each
        assert not any(work.retention.forget(before, 100).values())
    new = [f"n{records}"]
    assert names_left(engine, records) == {
        "scaling_decisions": new,
        "idempotency_keys": new,
        "workers": new,
        "dead_letters": [*new, f"open-n{records}", f"open-o{records}"],  # nobody has settled these
    }


def test_of_many_records_some_go_at_a_time(database: SqlDatabase, engine: Engine, before: datetime) -> None:
    old = [
        {"pool": f"many-{n}", "at": before - timedelta(seconds=n + 1), "kind": "hold", "before": 1, "after": 1}
        | {"identity": "", "applied": True, "reason": "", "per_worker": 1.0}
        for n in range(5)
    ]
    with engine.begin() as connection:
        connection.execute(insert(scaling_decisions), old)
    removed = []
    for _ in range(4):
        with database.transaction() as work:
            removed.append(work.retention.forget(before, 2)["scaling_decisions"])
    assert removed == [2, 2, 1, 0]


def test_what_programs_still_go_by_stays_however_short_the_retention(
    database: SqlDatabase, engine: Engine, records: str
) -> None:
    """One that is about to end, so that other tests' records stay."""
    with pytest.raises(Rollback), database.transaction() as work:
        work.retention.forget(work.retention.now(), 100_000)
        assert work.idempotency.claim(RequestKey(f"o{records}", "k"), "f", 60.0)  # free again
        with pytest.raises(Conflict):
            work.idempotency.claim(RequestKey(f"n{records}", "k"), "f", 60.0)
        assert f"n{records}" in [row.beat.name for row in work.workers.alive()]
        assert len(work.scaling.history(f"n{records}", 60.0)) == 1
        raise Rollback
