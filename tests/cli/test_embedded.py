"""A run in this process: nobody else will end it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.adapters.database import SqlDatabase
from app.bootstrap import bootstrap, prepare_database
from app.cli import embedded
from app.cli.embedded import Session, wait_until_free
from app.cli.worker_processes import WorkerProcesses
from app.domain.run import RunState
from app.runs.producing.lease import Lease
from app.runs.start import RunRequest, start_run
from app.settings import Settings


def test_a_run_whose_session_breaks_down_has_failed_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_session(bundle: Any, run: Any, *_: Any) -> None:
        with bundle.database.transaction() as work:
            work.runs.move(run.id, RunState.RUNNING)
        raise RuntimeError("thread relay died")

    monkeypatch.setattr(embedded, "run_session", run_session)
    with bootstrap(Settings(home=tmp_path)) as bundle, WorkerProcesses(0, (), 1.0) as processes:
        prepare_database(bundle)
        request = RunRequest("metadata-only", orders=1)
        run = start_run(bundle.database, bundle.types, request, datetime.now().astimezone())
        session = Session(bundle, run, (), processes)
        session.start(None, None)
        with pytest.raises(RuntimeError, match="relay"):
            session.result()
        with bundle.database.transaction() as work:
            ended = work.runs.get(run.id)
    assert (ended.state, ended.reason) == (RunState.FAILED, "defect: RuntimeError('thread relay died')")


@pytest.fixture
def free_run(tmp_path: Path) -> Iterator[tuple[SqlDatabase, str]]:
    """A run that nobody holds."""
    with bootstrap(Settings(home=tmp_path)) as bundle:
        prepare_database(bundle)
        request = RunRequest("metadata-only", orders=1)
        run = start_run(bundle.database, bundle.types, request, datetime.now().astimezone())
        assert isinstance(bundle.database, SqlDatabase)
        yield bundle.database, run.id


def test_the_lease_of_a_process_that_is_gone_is_waited_for(
    free_run: tuple[SqlDatabase, str], capsys: pytest.CaptureFixture[str]
) -> None:
    database, run_id = free_run
    assert wait_until_free(database, run_id, tell_after=0.0)
    assert capsys.readouterr().err == ""
    with database.transaction() as work:
        work.leases.acquire(run_id, 3.0)
    assert wait_until_free(database, run_id, tell_after=0.0)
    assert re.fullmatch(
        r"waiting up to \d s: the lease of the process that ran it has to run out\n", capsys.readouterr().err
    )


def test_a_lease_that_is_renewed_is_not_waited_for(free_run: tuple[SqlDatabase, str]) -> None:
    database, run_id = free_run
    with Lease(database, run_id, 600.0):
        assert not wait_until_free(database, run_id)
