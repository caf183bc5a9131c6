"""Producers of a server: runs that nobody holds are taken over, and one that kills its producers is given up."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.adapters.database import SqlDatabase
from app.api.producers import MAX_DEATHS, Deaths, Pace, Producers, _count
from app.domain.event import RUN_NOTE, STEP_SUCCEEDED, Event
from app.domain.run import Run, RunState
from app.domain.template import StepTypes
from app.runs.producing.exits import ProducerExit
from app.runs.start import RunRequest, start_run
from app.settings import load_settings

TYPES = StepTypes({"GENERATE_HL7": lambda parameters: None})
PACE = Pace(look=0.05, unavailable=3600, pending=3600)


@pytest.fixture
def database(sqlite_url: str) -> Iterator[SqlDatabase]:
    database = SqlDatabase(sqlite_url)
    database.upgrade()
    yield database
    database.close()


def begun_run(database: SqlDatabase) -> Run:
    """A run that is RUNNING, and that nobody holds."""
    template = {"name": "orphan", "steps": [{"type": "GENERATE_HL7"}]}
    run = start_run(database, TYPES, RunRequest(template, orders=3), datetime.now(UTC))
    with database.transaction() as work:
        return work.runs.move(run.id, RunState.RUNNING)


def state(database: SqlDatabase, run: Run) -> RunState:
    with database.transaction() as work:
        return work.runs.get(run.id).state


class Children:
    """Stand-ins for producers: each does what the script says, and is counted."""

    def __init__(self, folder: Path, script: str) -> None:
        self._log = folder / "started"
        self._script = f"open({str(self._log)!r}, 'a').write('x\\n'); {script}"

    def __call__(self, run_id: str) -> list[str]:
        return [sys.executable, "-S", "-c", self._script]

    @property
    def started(self) -> int:
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0


def look_after(
    database: SqlDatabase, home: Path, children: Children, until: Callable[[], bool], seconds: float = 60
) -> None:
    """A server's producers, until something has come about."""

    async def work() -> None:
        producers = Producers(load_settings(home=home, lease_seconds=2), database, children, PACE)
        producers.look_after_runs()
        async with asyncio.timeout(seconds):
            while not until():
                await asyncio.sleep(PACE.look)
        await producers.stop()

    asyncio.run(work())


def test_a_run_that_kills_its_producers_is_given_up_with_the_reason(database: SqlDatabase, tmp_path: Path) -> None:
    run = begun_run(database)
    children = Children(tmp_path, "import os; os.kill(os.getpid(), 9)")
    look_after(database, tmp_path, children, lambda: state(database, run).is_terminal)
    assert children.started == MAX_DEATHS
    with database.transaction() as work:
        ended = work.runs.get(run.id)
    assert ended.state is RunState.FAILED
    assert ended.reason == (
        "its producer died 5 times in a row without getting anywhere: the last one was ended by signal 9"
    )
    assert ended.summary is not None and ended.summary["orders"]["not_emitted"] == 3


@pytest.mark.parametrize("code", [ProducerExit.HANDED_OVER, ProducerExit.OVERTAKEN])
def test_a_producer_that_leaves_its_run_does_not_count_as_dead(
    database: SqlDatabase, tmp_path: Path, code: ProducerExit
) -> None:
    run = begun_run(database)
    children = Children(tmp_path, f"raise SystemExit({code.value})")
    look_after(database, tmp_path, children, lambda: children.started > MAX_DEATHS + 1)
    assert state(database, run) is RunState.RUNNING


def test_a_service_that_is_away_costs_no_run_its_life(database: SqlDatabase, tmp_path: Path) -> None:
    """Nor is there a new process every moment to find out."""
    run = begun_run(database)
    children = Children(tmp_path, f"raise SystemExit({ProducerExit.UNAVAILABLE.value})")
    looks = iter(range(30))
    look_after(database, tmp_path, children, lambda: children.started > 0 and next(looks, None) is None)
    assert state(database, run) is RunState.RUNNING
    assert children.started == 1


def test_a_stopping_server_asks_its_producers_to_leave(database: SqlDatabase, tmp_path: Path) -> None:
    run = begun_run(database)
    asked = tmp_path / "asked"
    script = (
        f"import signal, time; signal.signal({signal.SIGTERM.value}, lambda *_: open({str(asked)!r}, 'w').close()); "
        f"exec(\"while not __import__('os').path.exists({str(asked)!r}): time.sleep(0.01)\"); raise SystemExit(4)"
    )
    children = Children(tmp_path, script)
    looks = iter(range(20))
    look_after(database, tmp_path, children, lambda: children.started == 1 and next(looks, None) is None)
    assert asked.exists()
    assert state(database, run) is RunState.RUNNING


def test_a_run_that_has_just_been_added_is_left_to_whoever_added_it(database: SqlDatabase, tmp_path: Path) -> None:
    template = {"name": "new", "steps": [{"type": "GENERATE_HL7"}]}
    start_run(database, TYPES, RunRequest(template), datetime.now(UTC))
    children = Children(tmp_path, "pass")
    looks = iter(range(20))
    look_after(database, tmp_path, children, lambda: next(looks, None) is None)
    assert children.started == 0


def test_only_deaths_without_any_progress_count_in_a_row(database: SqlDatabase) -> None:
    run = begun_run(database)
    deaths = _count(database.feed, run.id, None)
    assert deaths.count == 1
    for _ in range(2):  # that it was taken over is told, and nothing else comes of it
        _write(database, Event(run.id, RUN_NOTE, data={"text": "another producer goes on"}))
        deaths = _count(database.feed, run.id, deaths)
    assert deaths.count == 3
    _write(database, Event(run.id, STEP_SUCCEEDED, 0, 0, 1, data={"type": "GENERATE_HL7"}))
    assert _count(database.feed, run.id, deaths).count == 1
    assert _count(database.feed, run.id, Deaths(4, database.feed.newest(run.id))).count == 5


def _write(database: SqlDatabase, event: Event) -> None:
    with database.transaction() as work:
        work.journal.append([event])
