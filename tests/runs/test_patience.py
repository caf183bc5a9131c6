"""A database that goes away, or loses the answer to a commit, delays a run and changes nothing else."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from app.adapters.database import SqlDatabase
from app.domain.errors import SchemaMissing, Unavailable
from app.domain.event import TERMINAL_ORDER_KINDS
from app.domain.run import OrderState, RunState
from app.ports import UnitOfWork
from app.runs.patience import in_transaction, patiently
from tests.runs.conftest import World


class FlakyDatabase:
    """Every so many-th transaction fails: by turns before it begins, and after it was committed. Not for ever."""

    def __init__(self, database: SqlDatabase, every: int, failures: int) -> None:
        self.queries = database.queries
        self.feed = database.feed
        self._database = database
        self._every = every
        self._count = itertools.count(1)
        self._left = failures
        self._turn = threading.Lock()

    @contextmanager
    def transaction(self) -> Iterator[UnitOfWork]:
        with self._turn:
            fails = next(self._count) % self._every == 0 and self._left > 0
            self._left -= fails
            after = fails and self._left % 2 == 0
        if fails and not after:
            raise Unavailable("database: away")
        with self._database.transaction() as work:
            yield work
        if after:
            raise Unavailable("database: connection lost")


@pytest.mark.parametrize("every", [2, 3, 5])
def test_a_run_through_a_flaky_database_is_whole(world: World, every: int) -> None:
    run = world.start(orders=230)
    steady = world.database
    world.database = cast(Any, FlakyDatabase(steady, every, failures=10))
    ended = world.run_to_end(run)
    world.database = steady
    assert ended.state is RunState.COMPLETED
    assert ended.summary is not None
    orders, jobs = ended.summary["orders"], ended.summary["jobs"]
    assert (orders["emitted"], orders["completed"], orders["failed"]) == (230, 230, 0)
    assert (jobs["published"], jobs["succeeded"]) == (230, 230)
    ends = Counter(event.event.order_number for event in world.events(run, *TERMINAL_ORDER_KINDS))
    assert ends == dict.fromkeys(range(230), 1)
    with steady.transaction() as work:
        assert work.orders.counts(run.id)[OrderState.COMPLETED] == 230


def test_what_was_refused_for_now_is_done_again_and_what_is_wrong_is_not(world: World) -> None:
    attempts = itertools.count(1)

    def third_time() -> int:
        attempt = next(attempts)
        if attempt < 3:
            raise Unavailable("database: away")
        return attempt

    assert patiently(third_time) == 3

    def defect(work: UnitOfWork) -> None:
        next(attempts)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_transaction(world.database, defect)
    assert next(attempts) == 5


def test_a_schema_that_somebody_has_to_make_is_not_waited_for() -> None:
    def action() -> None:
        raise SchemaMissing("database: no such table; run `yeeter db upgrade`")

    with pytest.raises(SchemaMissing):
        patiently(action)
