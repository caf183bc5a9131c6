"""``yeeter db prune``: what is shown, asked and removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from app.adapters.database import SqlDatabase
from app.adapters.database.engine import make_engine
from app.adapters.database.tables import runs
from app.domain.run import RunState
from tests.cli.conftest import Yeeter
from tests.contract.database_fixtures import Play, new_run


@pytest.fixture
def home(yeeter: Yeeter, tmp_path: Path) -> Path:
    """An embedded database with a run of last year, one of just now, and one that goes on; in folders of their own."""
    home = tmp_path / ".yeeter"
    url = f"sqlite:///{home / 'yeeter.db'}"
    database = SqlDatabase(url)
    database.upgrade()
    for key, state in (("00000001", RunState.FAILED), ("00000002", RunState.FAILED), ("00000003", RunState.PAUSED)):
        play = Play(database, new_run(run_key=key))
        play.acknowledge(0, 1)
        play.move(RunState.RUNNING, state)
        (home / "runs" / play.run.id).mkdir(parents=True)
    engine = make_engine(url)
    with engine.begin() as connection:
        last_year = {"finished_at": play.run.created_at.astimezone().replace(year=2025)}
        connection.execute(update(runs).where(runs.c.run_key == "00000001").values(last_year))
    engine.dispose()
    database.close()
    return home


def keys(yeeter: Yeeter) -> list[str]:
    return sorted(run["run_key"] for run in yeeter("runs", "list", "--json").json)


def test_a_dry_run_shows_what_would_go_and_removes_nothing(yeeter: Yeeter, home: Path) -> None:
    shown = yeeter("db", "prune", "--older-than", "30d", "--dry-run")
    assert shown.code == 0
    heading, run, last = shown.out.splitlines()
    assert heading.split() == ["RUN", "STATE", "TEMPLATE", "ORDERS", "ENDED"]
    assert run.split()[:4] == ["00000001", "FAILED", "test", "10"]
    assert last == "would remove 1 runs"
    document = yeeter("db", "prune", "--older-than", "30d", "--dry-run", "--json").json
    assert (document["dry_run"], [run["run_key"] for run in document["runs"]]) == (True, ["00000001"])
    assert len(keys(yeeter)) == 3


def test_nothing_is_removed_without_a_word(yeeter: Yeeter, home: Path) -> None:
    refused = yeeter("db", "prune", "--older-than", "30d")
    assert (refused.code, refused.errors) == (
        2,
        ["--yes: nobody is there to be asked: remove 1 runs for good? (add --yes)"],
    )
    assert len(keys(yeeter)) == 3


def test_what_is_old_is_removed_with_its_files(yeeter: Yeeter, home: Path) -> None:
    removed = yeeter("db", "prune", "--older-than", "30d", "--yes")
    assert (removed.code, removed.out) == (0, "removed 1 runs\n")
    assert "removed run 00000001: 10 orders, ended 2025-01-05" in removed.err
    assert keys(yeeter) == ["00000002", "00000003"]
    assert len(list((home / "runs").iterdir())) == 2
    assert yeeter("db", "prune", "--older-than", "30d").out == "removed 0 runs\n"  # nothing to ask


def test_the_newest_can_be_kept(yeeter: Yeeter, home: Path) -> None:
    document = yeeter("db", "prune", "--older-than", "30d", "--keep-runs", "2", "--yes", "--json").json
    assert document["runs"] == []
    assert len(keys(yeeter)) == 3


@pytest.mark.parametrize("age", ["30", "soon", "-3d"])
def test_an_age_that_is_none_is_refused(yeeter: Yeeter, age: str) -> None:
    refused = yeeter("db", "prune", f"--older-than={age}", "--yes")
    assert (refused.code, refused.errors) == (
        2,
        [f"--older-than: '{age}' is not a duration (write for example 90s, 10m, 1h30m or 30d)"],
    )
