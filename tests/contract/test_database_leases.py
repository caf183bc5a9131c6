"""Leases: one holder at a time, taken over once they have run out, and fenced."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import Conflict, NotFound
from app.domain.run import RunState
from tests.contract.database_fixtures import Play

RUN_OUT = -1.0  # seconds: a lease that has just run out


def acquire(play: Play, seconds: float = 60.0) -> str:
    with play.database.transaction() as work:
        return work.leases.acquire(play.run.id, seconds)


def renew(play: Play, fence: str, seconds: float = 60.0) -> RunState:
    with play.database.transaction() as work:
        return work.leases.renew(play.run.id, fence, seconds)


def release(play: Play, fence: str) -> None:
    with play.database.transaction() as work:
        work.leases.release(play.run.id, fence)


def is_free(play: Play) -> bool:
    return play.run.id in {run.id for run in play.database.queries.runs_to_resume()}


def test_a_run_has_one_holder_until_the_lease_is_released(play: Play) -> None:
    assert is_free(play)
    fence = acquire(play)
    assert not is_free(play)
    with pytest.raises(Conflict):
        acquire(play)
    release(play, fence)
    assert is_free(play)
    assert acquire(play) != fence


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_fenced_off(play: Play) -> None:
    old = acquire(play, RUN_OUT)
    assert is_free(play)
    new = acquire(play)
    with pytest.raises(Conflict):
        renew(play, old)
    release(play, old)  # says nothing about the new holder's
    with pytest.raises(Conflict):
        acquire(play)
    assert renew(play, new) is RunState.PENDING


def test_a_lease_that_ran_out_and_that_nobody_took_is_renewed(play: Play) -> None:
    fence = acquire(play, RUN_OUT)
    renew(play, fence)
    assert not is_free(play)


def test_renewing_tells_the_state(play: Play) -> None:
    fence = acquire(play)
    play.move(RunState.RUNNING, RunState.CANCELLING)
    assert renew(play, fence) is RunState.CANCELLING


def test_of_many_that_want_it_at_once_one_gets_it(play: Play) -> None:
    def attempt(_: int) -> bool:
        try:
            acquire(play)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1


def test_a_run_that_ended_is_not_to_be_resumed(play: Play) -> None:
    play.move(RunState.FAILED)
    assert not is_free(play)


def test_a_run_that_is_not_there(play: Play) -> None:
    with play.database.transaction() as work, pytest.raises(NotFound):
        work.leases.acquire(str(uuid.uuid4()), 60.0)
