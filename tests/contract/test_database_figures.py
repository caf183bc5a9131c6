"""Figures of runs: kept by epoch, read back as they were, listed by worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.adapters.database import SqlDatabase
from app.domain.metrics import Interval, RunMetrics, StageFigures, WorkerShare
from app.domain.run import RunState
from app.ports import Period, WorkerShareRow
from tests.contract.database_fixtures import Play

AT = datetime(2026, 1, 5, 8, 30, tzinfo=UTC)
LATENCY = {"hl7_ack": {"count": 2.0, "p50": 0.1}}


def metrics(*workers: str, jobs: int = 3) -> RunMetrics:
    stages = tuple(StageFigures(stage, 2, 0.1, 0.2, 0.2, 0.25, 0.3, 0.3, 0.3, "HIST") for stage in ("a", "b"))
    intervals = tuple(Interval(n, n * 2.0, 2.0, 1, 1, 1, 0, 0, 0, 1, 4, 2**40, 7, n, 2, LATENCY) for n in range(12))
    shares = (WorkerShare(name, jobs, 1.5, AT, AT + timedelta(seconds=10 + each)) for each, name in enumerate(workers))
    return RunMetrics(stages, intervals, tuple(shares))


def keep(play: Play, figures: RunMetrics, epoch: int = 0) -> None:
    with play.database.transaction() as work:
        work.figures.keep(play.run.id, epoch, figures)


def kept(play: Play, epoch: int = 0) -> RunMetrics | None:
    with play.database.transaction() as work:
        return work.figures.get(play.run.id, epoch)


def shares(database: SqlDatabase, run_id: str | None, limit: int = 10, **filters: object) -> list[WorkerShareRow]:
    """Read page by page."""
    found: list[WorkerShareRow] = []
    after = None
    while True:
        wanted = {"worker": None, "ended": Period()} | filters
        page = database.queries.worker_shares(run_id=run_id, after=after, limit=limit, **wanted)  # type: ignore[arg-type]
        found += page.rows
        after = page.next_cursor
        if after is None:
            return found


def test_they_are_read_back_as_they_were(play: Play) -> None:
    assert kept(play) is None
    keep(play, metrics("w1", "w2"))
    assert kept(play) == metrics("w1", "w2")


def test_those_of_an_epoch_are_replaced_and_others_stay(play: Play) -> None:
    keep(play, metrics("w1", "w2"))
    keep(play, metrics("w9"), epoch=1)
    keep(play, metrics("w3"))
    assert (kept(play), kept(play, 1)) == (metrics("w3"), metrics("w9"))


def test_they_go_with_their_run(play: Play) -> None:
    keep(play, metrics("w1"))
    play.move(RunState.FAILED)
    with play.database.transaction() as work:
        work.runs.remove(play.run.id)
    assert kept(play) is None


def test_shares_come_in_pages_the_latest_first(play: Play) -> None:
    keep(play, metrics("w1", "w2", "w3", "w" * 128))
    found = shares(play.database, play.run.id, limit=1)
    assert [row.share.worker for row in found] == ["w" * 128, "w3", "w2", "w1"]
    assert (found[1].run_key, found[1].template_name) == (play.run.run_key, play.run.template_name)
    assert found[1].share.jobs_per_second == 3 / 12


def test_shares_of_one_moment_are_each_seen_once(play: Play) -> None:
    same = tuple(WorkerShare(f"w{each}", 1, 0.5, AT, AT) for each in range(5))
    keep(play, RunMetrics((), (), same))
    assert [row.share.worker for row in shares(play.database, play.run.id, limit=2)] == ["w4", "w3", "w2", "w1", "w0"]
    assert same[0].jobs_per_second is None


def test_shares_are_found_by_worker_and_by_when_they_ended(play: Play) -> None:
    keep(play, metrics("w1", "w2"))
    assert [row.share.worker for row in shares(play.database, play.run.id, worker="w2")] == ["w2"]
    eleven = AT + timedelta(seconds=11)
    assert [row.share.worker for row in shares(play.database, play.run.id, ended=Period(since=eleven))] == ["w2"]
    assert [row.share.worker for row in shares(play.database, play.run.id, ended=Period(until=eleven))] == ["w1"]


def test_runs_are_found_by_when_they_were_made(play: Play) -> None:
    with play.database.transaction() as work:
        made = work.runs.get(play.run.id).created_at

    def found(period: Period) -> bool:
        page = play.database.queries.runs(state=None, template=None, after=None, limit=500, created=period)
        return play.run.id in [run.id for run in page.rows]

    second = timedelta(seconds=1)
    assert found(Period(made, made + second))
    assert not found(Period(since=made + second))
    assert not found(Period(until=made))
