"""Ends of runs that are to be told, as rows: each is one teller's at a time, and then another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, delete, update

from app.adapters.database import SqlDatabase
from app.adapters.database.tables import run_webhooks
from app.domain.run import RunState
from app.ports import DueWebhook
from tests.contract.database_fixtures import Play, new_run

BODY = {"status": "COMPLETED", "summary": {"run_key": "K"}}
SOON = 3600.0


@pytest.fixture
def play(database: SqlDatabase, engine: Engine) -> Iterator[Play]:
    """A run with a webhook; nothing is to be told of others."""
    with engine.begin() as connection:
        connection.execute(delete(run_webhooks))
    webhook = {"url": "http://ci.example/hook", "headers": {"X-Token": "t"}, "timeout": 5.0}
    yield Play(database, new_run(document={"name": "test", "webhook": webhook}))


def add(play: Play, head_start: float = SOON, epoch: int = 0) -> None:
    play.do(lambda work: work.webhooks.add(play.run.id, epoch, BODY, head_start))


def take(play: Play, run_id: str | None = None) -> DueWebhook | None:
    return play.do(lambda work: work.webhooks.take(run_id))


def later(engine: Engine, seconds: float) -> None:
    """So long after."""
    with engine.begin() as connection:
        for row in connection.execute(run_webhooks.select()).all():
            due_at = row.due_at - timedelta(seconds=seconds)
            connection.execute(update(run_webhooks).where(run_webhooks.c.run_id == row.run_id).values(due_at=due_at))


def test_it_is_told_by_its_own_run_first_and_by_others_after_a_head_start(play: Play, engine: Engine) -> None:
    add(play)
    assert take(play) is None
    later(engine, SOON)
    due = take(play)
    assert due is not None
    assert (due.run_id, due.epoch, due.attempt, due.body) == (play.run.id, 0, 1, BODY)
    assert due.webhook.headers == {"X-Token": "t"}


def test_whoever_took_it_has_it_alone_until_its_attempt_must_be_over(play: Play, engine: Engine) -> None:
    add(play)
    first = take(play, play.run.id)
    assert first is not None
    assert take(play, play.run.id) is None and take(play) is None
    assert play.do(lambda work: work.webhooks.waiting(play.run.id))
    later(engine, first.webhook.timeout + 31)
    second = take(play)
    assert second == replace(first, attempt=2)
    # The first one was only slow: what it says now counts no more.
    assert not play.do(lambda work: work.webhooks.remove(first))
    assert not play.do(lambda work: work.webhooks.postpone(first, 0.0))
    assert play.do(lambda work: work.webhooks.remove(second))
    assert not play.do(lambda work: work.webhooks.waiting(play.run.id))


def test_one_that_is_postponed_is_anybodys_then(play: Play) -> None:
    add(play)
    due = take(play, play.run.id)
    assert due is not None
    assert play.do(lambda work: work.webhooks.postpone(due, SOON))
    assert take(play, play.run.id) is None
    assert play.do(lambda work: work.webhooks.postpone(due, 0.0))
    again = take(play)
    assert again is not None and again.attempt == 2


def test_each_epoch_is_told(play: Play) -> None:
    add(play)
    add(play, epoch=1)
    taken = [take(play, play.run.id) for _ in range(3)]
    assert sorted(due.epoch for due in taken if due) == [0, 1]


def test_a_run_that_is_removed_is_not_told_of(play: Play) -> None:
    add(play)
    play.move(RunState.RUNNING, RunState.FAILED)
    play.do(lambda work: work.runs.remove(play.run.id))
    assert not play.do(lambda work: work.webhooks.waiting(play.run.id))
