"""Leases: one holder at a time, taken over once they have run out, and fenced."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.adapters.database import SqlDatabase
from app.domain.errors import Conflict, NotFound
from app.domain.event import RUN_NOTE, Event
from app.domain.run import OrderState, RunState
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


# --- holding it while one writes ---


def hold(play: Play, fence: str) -> RunState:
    return play.do(lambda work: work.leases.hold(play.run.id, fence))


def test_whoever_has_the_lease_may_hold_it_and_learns_the_state(play: Play) -> None:
    fence = acquire(play, RUN_OUT)  # it ran out, and nobody took it
    assert hold(play, fence) is RunState.PENDING
    play.move(RunState.RUNNING, RunState.PAUSED)
    assert hold(play, fence) is RunState.PAUSED


def test_a_producer_that_was_overtaken_writes_nothing_any_more(play: Play) -> None:
    """As it is when one thaws: it believes that it has the lease."""
    play.begin(0)
    old = acquire(play, RUN_OUT)
    new = acquire(play)
    with pytest.raises(Conflict), play.database.transaction() as work:
        work.orders.forget(play.run.id, [0])
        work.leases.hold(play.run.id, old)
    with pytest.raises(Conflict):
        hold(play, str(uuid.uuid4()))
    assert play.counts() == {OrderState.SENDING: 1}
    assert hold(play, new) is RunState.PENDING
    release(play, new)
    with pytest.raises(Conflict):
        hold(play, new)


def test_a_takeover_waits_for_what_the_holder_is_writing(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    play.begin(0)
    old = acquire(play, RUN_OUT)
    with ThreadPoolExecutor(1) as threads:
        with play.database.transaction() as work:
            work.leases.hold(play.run.id, old)
            taking_over = threads.submit(acquire, play)
            with pytest.raises(TimeoutError):
                taking_over.result(0.2)
            work.orders.forget(play.run.id, [0])
        new = taking_over.result(60)
    assert play.counts() == {}
    with pytest.raises(Conflict):
        hold(play, old)
    assert hold(play, new) is RunState.PENDING


def test_nothing_but_a_takeover_waits_for_a_holder(postgres_database: SqlDatabase) -> None:
    """A relay holds the lease while the broker confirms: heartbeats and requests of people must go on."""
    play = Play(postgres_database)
    fence = acquire(play)
    with play.database.transaction() as one, play.database.transaction() as other:
        assert one.leases.hold(play.run.id, fence) is other.leases.hold(play.run.id, fence)
        one.runs.get(play.run.id, lock=True)
    with ThreadPoolExecutor(1) as threads, play.database.transaction() as work:
        work.leases.hold(play.run.id, fence)
        assert threads.submit(renew, play, fence).result(60) is RunState.PENDING
        threads.submit(play.move, RunState.RUNNING, RunState.CANCELLING).result(60)


def test_the_time_that_a_lease_still_runs(play: Play) -> None:
    def remaining(run_id: str) -> float:
        return play.do(lambda work: work.leases.remaining(run_id))

    assert remaining(play.run.id) == remaining(str(uuid.uuid4())) == 0.0
    fence = acquire(play, 3600.0)
    assert 3500 < remaining(play.run.id) <= 3600
    release(play, fence)
    assert remaining(play.run.id) == 0.0
    acquire(play, RUN_OUT)
    assert remaining(play.run.id) == 0.0


def test_of_many_takeovers_and_writers_none_writes_under_a_lost_lease(play: Play) -> None:
    """Each producer counts one up as long as it may: the count is that of the writes that were not refused."""
    turns = threading.Barrier(4)

    def produce(_: int) -> int:
        written = 0
        turns.wait()
        for _ in range(5):
            try:
                fence = acquire(play, RUN_OUT)
            except Conflict:
                continue
            for number in range(3):
                try:
                    with play.database.transaction() as work:
                        work.leases.hold(play.run.id, fence)
                        work.journal.append([Event(play.run.id, RUN_NOTE, data={"fence": fence, "number": number})])
                except Conflict:
                    break
                written += 1
        return written

    with ThreadPoolExecutor(4) as threads:
        written = sum(threads.map(produce, range(4)))
    notes = [event.data["fence"] for event in play.events() if event.kind == RUN_NOTE]
    assert len(notes) == written > 0
    holders = [fence for fence, before in zip(notes, [None, *notes], strict=False) if fence != before]
    assert len(holders) == len(set(holders))  # nobody wrote after somebody else had begun to
