"""What a benchmark was measured on."""

from __future__ import annotations

from typing import Any

from app.ports import Database
from app.util.machine import describe_machine


def machine_of(database: Database) -> dict[str, Any]:
    """This machine, and the database, which may be on another one.

    Raises:
        Unavailable: the database can't be asked.
    """
    with database.transaction() as work:
        return describe_machine() | {"database": work.benchmarks.server()}
