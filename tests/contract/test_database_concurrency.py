"""Many workers, a relay and a cancel at once: every job finished once, nobody waits for anybody in a circle."""

from __future__ import annotations

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest

from app.adapters.database import SqlDatabase
from app.domain.errors import Unavailable
from app.domain.event import JOB_FINISHED, TERMINAL_ORDER_KINDS
from app.domain.run import OrderState, RunState, StepState
from app.domain.work import PAUSE, Claim, ClaimRequest, DestinationReport, JobFinish
from app.ports import UnitOfWork
from tests.contract.database_fixtures import Play

Result = TypeVar("Result")
ORDERS = 120
THREADS = 8


class Group:
    """Works on jobs as a worker would, in groups of its own making, and counts the times it was told to try again."""

    def __init__(self, play: Play, seed: int) -> None:
        self._play = play
        self._draw = random.Random(seed)
        self.won: list[int] = []
        self.turned_away = 0

    def work(self, rounds: int) -> Group:
        for _ in range(rounds):
            wanted = self._draw.choices(range(ORDERS), k=self._draw.randint(1, 40))  # some of them twice
            redelivered = self._draw.random() < 0.3
            requests = [self._play.request(number, redelivered=redelivered) for number in wanted]
            claims = self._again(partial(_claim, requests))
            finishes = [
                self._play.finished(number, claim, order_state=OrderState.COMPLETED)
                for number, claim in zip(wanted, claims, strict=True)
                if claim.granted
            ]
            self._draw.shuffle(finishes)
            self._finish(finishes)
        return self

    def _finish(self, finishes: list[JobFinish]) -> None:
        kept = self._again(lambda work: work.jobs.finish(finishes))
        self.won += [finish.order_number for finish, own in zip(finishes, kept, strict=True) if own]

    def _again(self, block: Callable[[UnitOfWork], Result]) -> Result:
        while True:
            try:
                with self._play.database.transaction() as work:
                    return block(work)
            except Unavailable:
                self.turned_away += 1


def _claim(requests: list[ClaimRequest], work: UnitOfWork) -> list[Claim]:
    return work.jobs.claim(requests, "w", 60.0)


def ends_of(play: Play) -> Counter[int | None]:
    return Counter(event.order_number for event in play.events() if event.kind in TERMINAL_ORDER_KINDS)


def test_of_many_workers_over_the_same_jobs_one_finishes_each(play: Play) -> None:
    play.acknowledge(*range(ORDERS))
    with ThreadPoolExecutor(THREADS) as threads:
        groups = list(threads.map(lambda seed: Group(play, seed).work(rounds=12), range(THREADS)))
    last = Group(play, THREADS)  # what a worker claimed that was fenced off by one that lost it, too
    claims = play.claim(*(play.request(number, redelivered=True) for number in range(ORDERS)))
    last._finish([play.finished(number, claim) for number, claim in enumerate(claims) if claim.granted])
    won = Counter(number for group in (*groups, last) for number in group.won)
    assert won == dict.fromkeys(range(ORDERS), 1)
    assert ends_of(play) == dict.fromkeys(range(ORDERS), 1)
    assert play.counts() == {OrderState.COMPLETED: ORDERS}
    assert play.kinds().count(JOB_FINISHED) == ORDERS
    assert sum(group.turned_away for group in groups) == 0  # locks are taken in one order: no deadlocks


def test_cancelling_while_many_work_ends_every_order_once(play: Play) -> None:
    play.acknowledge(*range(ORDERS))
    play.move(RunState.CANCELLING)
    begun = threading.Barrier(THREADS + 2)

    def work(seed: int) -> Group:
        group = Group(play, seed)
        begun.wait()
        return group.work(rounds=6)

    def cancel(_: int) -> int:
        begun.wait()
        with play.database.transaction() as work:
            return work.orders.cancel_waiting(play.run.id)

    def publish(_: int) -> int:
        begun.wait()
        return len(play.publish(50)) + len(play.publish(50))

    with ThreadPoolExecutor(THREADS + 2) as threads:
        working = [threads.submit(work, seed) for seed in range(THREADS)]
        cancelling, publishing = threads.submit(cancel, 0), threads.submit(publish, 0)
        groups = [each.result() for each in working]
        cancelled = cancelling.result()
        publishing.result()
    claims = play.claim(*(play.request(number, redelivered=True) for number in range(ORDERS)))
    play.finish(*(play.finished(number, claim) for number, claim in enumerate(claims) if claim.granted))
    assert ends_of(play) == dict.fromkeys(range(ORDERS), 1)
    counts = play.counts()
    assert counts.get(OrderState.CANCELLED, 0) == cancelled
    assert sum(counts.values()) == counts.get(OrderState.COMPLETED, 0) + cancelled == ORDERS
    assert sum(group.turned_away for group in groups) == 0


class Troubled(Group):
    """Works on jobs whose destination comes and goes: some are parked, some tried again, some done."""

    def __init__(self, play: Play, seed: int, destination: str) -> None:
        super().__init__(play, seed)
        self._destination = destination

    def work(self, rounds: int) -> Troubled:
        for _ in range(rounds):
            wanted = sorted(self._draw.sample(range(ORDERS), k=30), key=lambda _: self._draw.random())
            redelivered = self._draw.random() < 0.3
            requests = [
                self._play.request(number, redelivered=redelivered, destination=self._destination) for number in wanted
            ]
            claims = self._again(partial(_claim, requests))
            granted = [(number, claim) for number, claim in zip(wanted, claims, strict=True) if claim.granted]
            given_up, ended = granted[:2], granted[2:]
            returned = [(self._play.request(number), claim) for number, claim in given_up]
            self._again(lambda work, returned=returned: work.jobs.give_up(returned))  # type: ignore[misc]
            self._finish([self._end(number, claim) for number, claim in ended])
        return self

    def _end(self, number: int, claim: Claim) -> JobFinish:
        draw = self._draw.random()
        if draw < 0.3:
            return self._play.finished(number, claim, destination=DestinationReport(self._destination))
        if draw < 0.5:
            return self._play.retried(number, claim, "verdict", destination=DestinationReport(self._destination))
        return self._play.retried(
            number, claim, "transport", destination=DestinationReport(self._destination, "connection reset")
        )


def test_parking_releasing_and_sweeping_while_many_work_loses_no_job(play: Play) -> None:
    play.acknowledge(*range(ORDERS))
    key = f"dicom:ARCHIVE@{uuid.uuid4()}:104"
    begun = threading.Barrier(THREADS + 3)
    done = threading.Event()

    def work(seed: int) -> Troubled:
        group = Troubled(play, seed, key)
        begun.wait()
        return group.work(rounds=10)

    def release(probe: bool) -> int:
        begun.wait()
        count = 0
        while not done.wait(0.002):
            count += len(play.release(key, 5, probe=probe))
            play.do(lambda work: work.destinations.may_probe(key))
            play.publish(50)
        return count

    def sweep(_: int) -> None:
        begun.wait()
        while not done.wait(0.002):
            play.do(lambda work: work.jobs.lost(play.run.id, 0.0, -1, 50))

    with ThreadPoolExecutor(THREADS + 3) as threads:
        workers = [threads.submit(work, seed) for seed in range(THREADS)]
        others = [threads.submit(release, False), threads.submit(release, True), threads.submit(sweep, 0)]
        try:
            groups = [each.result() for each in workers]
        finally:
            done.set()
        for other in others:
            other.result()
    parked = [number for number in range(ORDERS) if StepState.PARKED in play.step_states(number)]
    assert play.parked().get(key, 0) == len(parked)
    assert len(play.release(key)) == len(parked)
    claims = play.claim(*(play.request(number, redelivered=True) for number in range(ORDERS)))
    play.finish(*(play.finished(number, claim) for number, claim in enumerate(claims) if claim.granted))
    assert ends_of(play) == dict.fromkeys(range(ORDERS), 1)
    assert play.counts() == {OrderState.COMPLETED: ORDERS}
    assert sum(group.turned_away for group in groups) == 0


def test_a_release_and_a_claim_of_the_same_job_wait_for_each_other(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    play.acknowledge(0)
    play.move(RunState.RUNNING, RunState.PAUSED)
    play.claim(0)
    play.move(RunState.RUNNING)
    with ThreadPoolExecutor(1) as threads:
        with play.database.transaction() as work:
            assert len(work.jobs.release(play.run.id, PAUSE, 10)) == 1
            claiming = threads.submit(play.claim, 0)
            with pytest.raises(TimeoutError):
                claiming.result(0.2)
        assert [claim.granted for claim in claiming.result(60)] == [True]


def test_jobs_are_given_up_in_the_order_in_which_they_are_locked(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    play.acknowledge(0, 1)
    claims = play.claim(0, 1)
    both = [(play.request(number), claims[number]) for number in (1, 0)]
    again = [play.request(number, redelivered=True) for number in (0, 1)]
    with ThreadPoolExecutor(1) as threads:
        with play.database.transaction() as work:
            work.jobs.claim(again[:1], "w2", 60.0)
            giving_up = threads.submit(play.do, lambda work: work.jobs.give_up(both))
            with pytest.raises(TimeoutError):
                giving_up.result(0.2)
            work.jobs.claim(again[1:], "w2", 60.0)  # were it locked by now, the two would wait for each other
        giving_up.result(60)
    assert [play.step(number, 1).state for number in (0, 1)] == [StepState.RUNNING, StepState.RUNNING]


def test_a_job_that_was_parked_is_released_once(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    play.acknowledge(0, 1)
    play.move(RunState.RUNNING, RunState.PAUSED)
    play.claim(0, 1)
    with ThreadPoolExecutor(1) as threads:
        with play.database.transaction() as work:
            assert len(work.jobs.release(play.run.id, PAUSE, 1)) == 1
            releasing = threads.submit(play.release, PAUSE)
            with pytest.raises(TimeoutError):
                releasing.result(0.2)
        assert [each.order_number for each in releasing.result(60)] == [1]


def test_a_deadlock_is_an_invitation_to_try_again(postgres_database: SqlDatabase) -> None:
    """Two transactions that lock one after the other what the other one has: the one that is ended may come again."""
    play = Play(postgres_database)
    play.acknowledge(0, 1)
    both_hold_one = threading.Barrier(2)

    def claim_both(first: int, second: int) -> str:
        try:
            with play.database.transaction() as work:
                work.jobs.claim([play.request(first)], "w", 60.0)
                both_hold_one.wait(10)
                work.jobs.claim([play.request(second)], "w", 60.0)
        except Unavailable as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(claim_both, (0, 1), (1, 0)))
    assert sorted(answers) == ["database: deadlock detected", "done"]
    assert [play.step(number, 1).starts for number in (0, 1)] == [1, 1]


def test_a_worker_waits_for_a_cancel_and_finds_its_jobs_gone(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    play.acknowledge(0)
    with ThreadPoolExecutor(1) as threads:
        with play.database.transaction() as work:
            assert work.orders.cancel_waiting(play.run.id) == 1
            claiming = threads.submit(play.claim, 0)
            with pytest.raises(TimeoutError):
                claiming.result(0.2)
        assert [claim.refusal for claim in claiming.result(10)] == ["finished"]


def test_a_cancel_waits_for_a_claim_and_leaves_its_order_alone(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    play.acknowledge(0, 1)

    def cancel() -> int:
        with play.database.transaction() as work:
            return work.orders.cancel_waiting(play.run.id)

    with ThreadPoolExecutor(1) as threads:
        with play.database.transaction() as work:
            [claim] = work.jobs.claim([play.request(0)], "w", 60.0)
            cancelling = threads.submit(cancel)
            with pytest.raises(TimeoutError):
                cancelling.result(0.2)
        assert cancelling.result(10) == 1
    assert play.counts() == {OrderState.WAITING: 1, OrderState.CANCELLED: 1}
    assert play.finish(play.finished(0, claim)) == [True]
