"""A run in this process: nobody else will end it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import bootstrap, prepare_database
from app.cli import embedded
from app.cli.embedded import Session
from app.cli.worker_processes import WorkerProcesses
from app.domain.run import RunState
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
