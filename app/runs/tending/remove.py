"""Removing a run that has ended, with everything that was kept of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from app.ports import Database, StudyStore


def remove_run(database: Database, id_or_key: str, studies: StudyStore, folder: Callable[[str], Path]) -> None:
    """``folder`` tells where the files of a run are, by its id.

    Raises:
        NotFound: there is no such run.
        Conflict: it has not ended.
    """
    with database.transaction() as work:
        run = work.runs.get(id_or_key)
        work.runs.remove(run.id)
    studies.remove(run.id)  # those of a run that was given up
    shutil.rmtree(folder(run.id), ignore_errors=True)
