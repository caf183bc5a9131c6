"""Idempotency keys as rows: claimed once, answered once, and never blocked for ever."""

from __future__ import annotations

import secrets
import threading
from datetime import timedelta

import pytest
from sqlalchemy import Engine, update

from app.adapters.database import SqlDatabase
from app.adapters.database.clock import read_now
from app.adapters.database.tables import idempotency_keys
from app.domain.errors import Conflict, InvalidInput
from app.ports import KeptAnswer, RequestKey

ANSWER = KeptAnswer(201, {"location": "/x/1"}, {"name": "Änne", "n": [1, 2.5, None]})


@pytest.fixture
def key() -> RequestKey:
    return RequestKey("ci", secrets.token_hex(8))


def claim(database: SqlDatabase, key: RequestKey, fingerprint: str = "f", seconds: float = 60.0) -> str | KeptAnswer:
    with database.transaction() as work:
        return work.idempotency.claim(key, fingerprint, seconds)


def fence_of(database: SqlDatabase, key: RequestKey, seconds: float = 60.0) -> str:
    fence = claim(database, key, seconds=seconds)
    assert isinstance(fence, str)
    return fence


def keep(database: SqlDatabase, key: RequestKey, fence: str, answer: KeptAnswer = ANSWER) -> None:
    with database.transaction() as work:
        work.idempotency.keep(key, fence, answer)


def release(database: SqlDatabase, key: RequestKey, fence: str) -> None:
    with database.transaction() as work:
        work.idempotency.release(key, fence)


def test_the_first_answer_is_given_again(database: SqlDatabase, key: RequestKey) -> None:
    keep(database, key, fence_of(database, key))
    for _ in range(2):
        assert claim(database, key) == ANSWER


def test_another_request_under_the_key_is_refused(database: SqlDatabase, key: RequestKey) -> None:
    fence = fence_of(database, key)
    for _ in ("in work", "answered"):
        with pytest.raises(InvalidInput, match="Idempotency-Key") as caught:
            claim(database, key, "other")
        assert caught.value.problems[0].cure
        keep(database, key, fence)


def test_a_key_is_its_callers_own(database: SqlDatabase, key: RequestKey) -> None:
    keep(database, key, fence_of(database, key))
    assert isinstance(claim(database, RequestKey("another", key.key), "other"), str)
    assert isinstance(claim(database, RequestKey("", key.key), "other"), str)


def test_a_second_one_at_the_same_time_is_refused(database: SqlDatabase, key: RequestKey) -> None:
    fence_of(database, key)
    with pytest.raises(Conflict, match="being worked on"):
        claim(database, key)


def test_of_many_that_come_at_once_one_is_worked_on(database: SqlDatabase, key: RequestKey) -> None:
    start, taken, refused = threading.Barrier(8), [], []

    def ask() -> None:
        start.wait()
        try:
            taken.append(claim(database, key))
        except Conflict as error:
            refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(taken), len(refused)) == (1, 7)


def test_a_request_without_effect_leaves_the_key_free(database: SqlDatabase, key: RequestKey) -> None:
    release(database, key, fence_of(database, key))
    assert isinstance(claim(database, key, "mended"), str)


def test_what_is_answered_is_not_forgotten(database: SqlDatabase, key: RequestKey) -> None:
    fence = fence_of(database, key)
    keep(database, key, fence)
    release(database, key, fence)  # of one who did not hear that the answer was kept
    assert claim(database, key) == ANSWER


def test_a_claim_whose_process_died_runs_out_and_shuts_its_owner_out(database: SqlDatabase, key: RequestKey) -> None:
    dead = fence_of(database, key, seconds=0.0)
    alive = fence_of(database, key)
    assert alive != dead
    with pytest.raises(Conflict), database.transaction() as work:
        work.idempotency.keep(key, dead, KeptAnswer(201, {}, "the dead one's"))
    release(database, key, dead)
    with pytest.raises(Conflict):
        claim(database, key)
    keep(database, key, alive)
    assert claim(database, key) == ANSWER


def test_an_effect_that_is_rolled_back_takes_its_answer_along(database: SqlDatabase, key: RequestKey) -> None:
    fence = fence_of(database, key)
    with pytest.raises(ZeroDivisionError), database.transaction() as work:
        work.idempotency.keep(key, fence, ANSWER)
        _ = 1 / 0
    release(database, key, fence)
    assert isinstance(claim(database, key), str)


def test_an_answer_is_kept_for_a_day(database: SqlDatabase, engine: Engine, key: RequestKey) -> None:
    keep(database, key, fence_of(database, key))
    mine = idempotency_keys.c.key == key.key
    for hours, there in ((23.9, True), (24.1, False)):
        with engine.begin() as connection:
            made = read_now(connection) - timedelta(hours=hours)
            connection.execute(update(idempotency_keys).where(mine).values(created_at=made))
        assert isinstance(claim(database, key, "f"), KeptAnswer) is there
