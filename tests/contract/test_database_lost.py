"""Jobs that nobody will run by themselves: found in passing, and put into the outbox again."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from app.adapters.database import SqlDatabase
from app.adapters.database.tables import events, step_executions
from app.domain.event import JOB_QUEUED
from app.domain.run import RunState, StepState
from app.domain.work import PAUSE, JobReference, OutboxEntry
from tests.contract.database_fixtures import EXPIRED, Play

PATIENCE = 600.0


def lost(play: Play, seconds: float = PATIENCE) -> list[int]:
    """What a sweeper finds, and puts into the outbox."""
    numbers, _ = sweep(play, -1, 1000, seconds)
    return numbers


def sweep(play: Play, after: int, limit: int, seconds: float = PATIENCE) -> tuple[list[int], int | None]:
    with play.database.transaction() as work:
        found, last = work.jobs.lost(play.run.id, seconds, after, limit)
        jobs = {each: play.job(each.order_number, each.step_index - 1) for each in found}
        work.outbox.put([OutboxEntry.of(job, starts=each.starts) for each, job in jobs.items()])
    return [each.order_number for each in found], last


@pytest.fixture
def later(play: Play, engine: Engine) -> Callable[[], None]:
    """Makes all that is known of the run's jobs an hour older."""

    def pass_an_hour() -> None:
        with engine.begin() as connection:
            for table, column in ((step_executions, "ready_at"), (events, "at")):
                rows = connection.execute(table.select().where(table.c.run_id == play.run.id)).mappings().all()
                for row in rows:
                    if row[column] is not None:
                        same = [key == row[key.name] for key in table.primary_key]
                        values = {column: row[column] - timedelta(hours=1)}
                        connection.execute(update(table).where(*same).values(**values))

    return pass_an_hour


def test_a_claim_whose_lease_ran_out_is_lost(play: Play) -> None:
    play.acknowledge(0, 1, 2, 3)
    play.publish()
    play.claim(0, 1, seconds=EXPIRED)
    play.claim(2)
    assert lost(play) == [0, 1]
    assert play.step(0, 1).state is StepState.READY
    assert lost(play) == []  # they are in the outbox now
    assert play.publish() == [0, 1]
    assert lost(play) == []  # and have just been published
    [claim] = play.claim(0)
    assert (claim.starts, claim.lost_starts) == (2, 1)


def test_a_worker_that_comes_back_after_its_job_was_found_lost_is_fenced_off(play: Play) -> None:
    play.acknowledge(0)
    [claim] = play.claim(0, seconds=EXPIRED)
    lost(play)
    assert play.finish(play.finished(0, claim)) == [False]


def test_a_worker_that_comes_back_before_anybody_misses_it_finishes_its_job(play: Play) -> None:
    play.acknowledge(0)
    [claim] = play.claim(0, seconds=EXPIRED)
    assert play.finish(play.finished(0, claim)) == [True]
    assert lost(play) == []


def test_a_ready_job_that_left_the_outbox_long_ago_is_lost(play: Play, later: Callable[[], None]) -> None:
    play.acknowledge(0, 1, 2)
    assert play.publish(2) == [0, 1]
    play.claim(1)
    assert lost(play) == []
    later()
    assert lost(play) == [0]  # 1 is being worked on, 2 has not been published yet
    assert sorted(play.publish()) == [0, 2]
    assert lost(play) == []
    later()
    assert lost(play) == [0, 2]


def test_a_job_that_waited_long_in_the_outbox_has_only_just_left_it(play: Play, engine: Engine) -> None:
    play.acknowledge(0)
    c = step_executions.c
    with engine.begin() as connection:
        ready_at = play.order(0).begun_at - timedelta(hours=1)
        connection.execute(update(step_executions).where(c.run_id == play.run.id).values(ready_at=ready_at))
    play.publish()
    assert JOB_QUEUED in play.kinds(0)
    assert lost(play) == []
    assert lost(play, seconds=0.0) == [0]


def test_what_waits_on_purpose_is_not_lost(play: Play) -> None:
    play.acknowledge(0, 1, 2, 3)
    play.publish()
    [retried, ended, parked] = play.claim(0, 1, 2)
    play.finish(play.retried(0, retried, "verdict", delay=600.0))
    play.finish(play.finished(1, ended))
    play.do(lambda work: work.jobs.give_up([(play.request(2), parked)]))
    play.move(RunState.RUNNING, RunState.PAUSED)
    play.claim(2)
    assert play.parked() == {PAUSE: 1}
    assert lost(play, seconds=0.0) == [3]


def test_a_sweep_goes_through_the_unfinished_orders_in_steps(play: Play) -> None:
    play.acknowledge(*range(10))
    play.publish()
    claims = play.claim(*range(10), seconds=EXPIRED)
    play.finish(*(play.finished(number, claims[number]) for number in (1, 2, 3, 8)))
    after: int | None = -1
    sweeps = []
    while after is not None:
        numbers, after = sweep(play, after, 2)
        sweeps.append((numbers, after))
    assert sweeps == [([0, 4], 4), ([5, 6], 6), ([7, 9], 9), ([], None)]
    assert sweep(play, -1, 7) == ([], None)


def test_of_another_run_nothing_is_found(play: Play) -> None:
    other = Play(play.database)
    for each in (play, other):
        each.acknowledge(0)
        each.claim(0, seconds=EXPIRED)
    assert lost(play) == [0]
    assert other.step(0, 1).state is StepState.RUNNING


def test_a_job_that_is_just_being_claimed_is_left_alone(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    play.acknowledge(0, 1)
    play.claim(0, 1, seconds=EXPIRED)
    with ThreadPoolExecutor(1) as threads, play.database.transaction() as work:
        work.jobs.claim([play.request(0)], "w2", 60.0)
        assert threads.submit(lost, play).result(30) == [1]  # it does not wait either


# --- the claims of workers that are known to be gone ---


def test_recovering_makes_every_claim_ready_whatever_its_lease_says(play: Play) -> None:
    play.acknowledge(*range(4))
    play.publish()
    claims = play.claim(0, 1, 2)
    play.finish(play.finished(2, claims[2]))
    assert play.do(lambda work: work.jobs.recover(play.run.id)) == 2
    assert play.do(lambda work: work.jobs.recover(play.run.id)) == 0
    assert play.finish(play.finished(0, claims[0])) == [False]
    [again] = play.claim(0)
    assert (again.starts, again.lost_starts) == (2, 1)
    assert lost(play, seconds=0.0) == [1, 3]


def test_recovering_can_be_of_some_steps_only(play: Play) -> None:
    split = Play(play.database, queues=("inline", "send"))
    split.acknowledge(0, 1)
    split.claim(split.request(0, 1))
    [first] = split.claim(split.request(1, 1))
    following = OutboxEntry.of(split.job(1, position=1))
    steps = split.finished(1, first).steps[:1]
    split.finish(split.finished(1, first, steps=steps, following=following, order_state=None))
    split.claim(split.request(1, 2))
    assert split.do(lambda work: work.jobs.recover(split.run.id, [1])) == 1
    assert [split.step(0, 1).state, split.step(1, 2).state] == [StepState.READY, StepState.RUNNING]
    assert split.do(lambda work: work.jobs.recover(split.run.id, [])) == 0


# --- a single job, by what its message said ---


def test_the_job_of_a_message_as_it_is_now(play: Play) -> None:
    split = Play(play.database, queues=("generate", "send"))
    split.acknowledge(0)

    def unfinished(step_index: int, epoch: int = 0, number: int = 0) -> JobReference | None:
        return split.do(lambda work: work.jobs.unfinished(split.run.id, number, step_index, epoch))

    assert unfinished(1) == JobReference(0, 1, 0, 0)
    assert unfinished(2) is None  # its turn has not come
    assert unfinished(1, epoch=1) is None
    assert unfinished(1, number=7) is None
    [claim] = split.claim(split.request(0, 1))
    assert unfinished(1) == JobReference(0, 1, 0, 1)
    following = OutboxEntry.of(split.job(0, position=1))
    steps = split.finished(0, claim).steps[:1]
    split.finish(split.finished(0, claim, steps=steps, following=following, order_state=None))
    assert unfinished(1) == unfinished(2) == JobReference(0, 2, 0, 0)
    [claim] = split.claim(split.request(0, 2))
    split.finish(split.finished(0, claim))
    assert unfinished(1) is unfinished(2) is None
    assert split.do(lambda work: work.jobs.unfinished(str(uuid.uuid4()), 0, 1, 0)) is None


# --- how many are out ---


def test_jobs_that_are_published_are_neither_in_the_outbox_nor_parked(play: Play) -> None:
    def published() -> int:
        return play.do(lambda work: work.jobs.published(play.run.id))

    assert published() == 0
    play.begin(9)
    play.acknowledge(*range(6))
    assert published() == 0
    play.publish(4)
    assert published() == 4
    [done, again] = play.claim(0, 1)
    assert published() == 4
    play.finish(play.finished(0, done))
    assert published() == 3
    play.finish(play.retried(1, again, "transport", delay=600.0))
    assert published() == 2
    play.move(RunState.RUNNING, RunState.PAUSED)
    play.claim(2)
    assert published() == 1
    play.do(lambda work: work.outbox.put([OutboxEntry.of(play.job(number)) for number in (3, 3)]))
    assert published() == 0  # twice in the outbox: no less than nothing is out
