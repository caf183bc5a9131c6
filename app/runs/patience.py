"""Waiting for a database that is away, rather than giving up what has been begun."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from app.domain.errors import SchemaMissing, Unavailable
from app.ports import Database, UnitOfWork

log = structlog.get_logger()

FIRST_PAUSE = 0.05  # seconds: a transaction that lost to another (a deadlock) need not wait long
LONGEST_PAUSE = 1.0

Result = TypeVar("Result")


def _on() -> None:
    """Nothing keeps us from waiting on."""


def patiently(action: Callable[[], Result], check: Callable[[], None] = _on) -> Result:
    """What ``action`` returns, which is begun again as long as the database is unavailable.

    It may have been done when it is begun again (a commit whose answer was lost): doing it twice must do no harm.
    ``check`` is called before each further attempt, and raises what ends the waiting.
    """
    pause, said = FIRST_PAUSE, ""
    while True:
        try:
            return action()
        except SchemaMissing:  # somebody has to do something about it
            raise
        except Unavailable as error:
            if str(error) != said:
                log.warning("waiting for the database", reason=str(error))
            said = str(error)
        check()
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def in_transaction(
    database: Database, block: Callable[[UnitOfWork], Result], check: Callable[[], None] = _on
) -> Result:
    """What ``block`` returns, in a transaction of its own; see :func:`patiently`."""

    def action() -> Result:
        with database.transaction() as work:
            return block(work)

    return patiently(action, check)
