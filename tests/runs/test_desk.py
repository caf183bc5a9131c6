"""What a worker's threads hand to each other: no job is lost between them, and nobody is woken too early or never."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest

from app.domain.work import JobFinish
from app.runs.working.desk import Claimed, Desk

LONG = 60.0  # seconds that no test takes


def claimed(fence: str, job: str = "a job") -> Claimed:
    return cast(Claimed, SimpleNamespace(job=SimpleNamespace(id=job), claim=SimpleNamespace(fence=fence)))


def finish(fence: str) -> JobFinish:
    return cast(JobFinish, SimpleNamespace(fence=fence))


def desk_with(jobs: int, done: int) -> Desk:
    desk = Desk()
    desk.put([claimed(str(number)) for number in range(jobs)])
    for number in range(done):
        desk.put_done(claimed(str(number)), finish(str(number)))
    return desk


def taken(desk: Desk, most: int, seconds: float, more_may_come: bool) -> list[str]:
    return [each.finish.fence for each in desk.take_done(most, seconds, lambda: more_may_come)]


@pytest.mark.parametrize(
    ("done", "more_may_come", "wanted"),
    [(3, False, ["0", "1", "2"]), (5, True, ["0", "1", "2", "3"]), (4, True, ["0", "1", "2", "3"])],
    ids=["no more may come", "more than wanted", "as many as wanted"],
)
def test_what_is_done_is_taken_at_once(done: int, more_may_come: bool, wanted: list[str]) -> None:
    assert taken(desk_with(6, done), 4, LONG, more_may_come) == wanted


def test_more_is_waited_for_so_long() -> None:
    desk = desk_with(6, 2)
    begun = time.monotonic()
    assert taken(desk, 4, 0.1, more_may_come=True) == ["0", "1"]
    assert time.monotonic() - begun >= 0.1


def _later(action: Callable[[], None]) -> None:
    threading.Timer(0.05, action).start()


@pytest.mark.timeout(30)
def test_who_gathers_is_woken_when_enough_is_done() -> None:
    desk = desk_with(6, 1)
    for fence in ("1", "2"):
        _later(partial(desk.put_done, claimed(fence), finish(fence)))
    assert sorted(taken(desk, 3, LONG, more_may_come=True)) == ["0", "1", "2"]


@pytest.mark.timeout(30)
def test_who_gathers_is_not_woken_for_each_job() -> None:
    desk, looks = desk_with(60, 1), []

    def more_may_come() -> bool:
        looks.append(len(looks))
        return True

    def run_the_others() -> None:
        for number in range(1, 50):
            desk.put_done(claimed(str(number)), finish(str(number)))
            time.sleep(0.002)

    _later(run_the_others)
    assert len(desk.take_done(50, LONG, more_may_come)) == 50
    assert len(looks) == 1


@pytest.mark.timeout(30)
def test_who_gathers_is_woken_when_nothing_is_left_to_be_run() -> None:
    desk = desk_with(2, 1)
    _later(lambda: desk.put_done(claimed("1"), finish("1")))
    assert [each.finish.fence for each in desk.take_done(9, LONG, lambda: desk.to_run > 0)] == ["0", "1"]


@pytest.mark.timeout(30)
def test_who_gathers_is_woken_when_what_is_left_is_somebody_elses() -> None:
    desk = desk_with(2, 1)
    _later(lambda: desk.remove([claimed("1")]))
    assert [each.finish.fence for each in desk.take_done(9, LONG, lambda: desk.to_run > 0)] == ["0"]
    assert [each.claim.fence for each in desk.held] == ["0"]


@pytest.mark.timeout(30)
def test_what_is_done_when_the_desk_is_closed_is_taken_before_the_end() -> None:
    desk = desk_with(2, 1)
    _later(lambda: desk.close(hands=1))
    assert taken(desk, 9, LONG, more_may_come=True) == ["0"]
    desk.put_done(claimed("1"), finish("1"))  # too late: it stays unwritten
    assert taken(desk, 9, LONG, more_may_come=True) == []


def test_all_is_written_when_nothing_is_held() -> None:
    desk = desk_with(1, 1)
    assert not desk.wait_until_written(0.01)
    desk.written(desk.take_done(1, 0, lambda: False))
    assert desk.wait_until_written(0)


def test_jobs_of_one_claim_are_told_apart_and_so_are_claims_of_one_job() -> None:
    desk = Desk()
    group = [claimed("1", "a job"), claimed("1", "another"), claimed("2", "a job")]
    desk.put(group)
    desk.remove([group[0]])
    assert desk.held == group[1:]
