"""The outbox: rows first, then publish, then forget."""

from __future__ import annotations

from app.adapters.database import SqlDatabase
from app.domain.event import JOB_QUEUED
from app.domain.work import OutboxEntry
from tests.contract.database_fixtures import QUEUE, Play


def put(play: Play, *numbers: int, delay: float = 0.0) -> None:
    with play.database.transaction() as work:
        work.outbox.put([OutboxEntry.of(play.job(number), delay) for number in numbers])


def test_an_entry_is_taken_as_the_message_to_publish(play: Play) -> None:
    put(play, 3)
    with play.database.transaction() as work:
        [message] = work.outbox.take(play.run.id, 10)
    assert (message.run_id, message.order_number, message.step_index) == (play.run.id, 3, 1)
    assert (message.job_id, message.queue, message.epoch) == (play.job(3).id, QUEUE, 0)


def test_the_oldest_due_entries_come_first_and_no_more_than_wanted(play: Play) -> None:
    put(play, 5, delay=-20)
    put(play, 1, 2, delay=-10)
    put(play, 3, delay=-30)
    put(play, 4, delay=3600)
    assert play.publish(limit=3) == [3, 5, 1]
    assert play.publish() == [2]
    assert play.publish() == []
    assert play.waiting() == 1


def test_an_entry_that_was_not_sent_is_taken_again(play: Play) -> None:
    put(play, 1)
    for _ in range(2):
        with play.database.transaction() as work:
            assert len(work.outbox.take(play.run.id, 10)) == 1
    assert play.waiting() == 1


def test_what_was_sent_is_gone_and_noted(play: Play) -> None:
    put(play, 1, 2, 3)
    with play.database.transaction() as work:
        taken = work.outbox.take(play.run.id, 2)
        work.outbox.sent(taken, 0.0123456789)
        work.outbox.sent([], 1.0)
    assert play.waiting() == 1
    queued = [event for event in play.events() if event.kind == JOB_QUEUED]
    assert [(event.order_number, event.step_index) for event in queued] == [(1, 1), (2, 1)]
    assert queued[0].data == {"queue": QUEUE, "job": play.job(1).id, "publish_seconds": 0.012346}


def test_each_time_a_job_is_queued_is_told_by_the_starts_it_had(play: Play) -> None:
    for starts in (0, 0, 2, 2, 3):
        with play.database.transaction() as work:
            work.outbox.put([OutboxEntry.of(play.job(1), starts=starts), OutboxEntry.of(play.job(2))])
            assert {message.starts for message in work.outbox.take(play.run.id, 10)} == {starts, 0}
        assert sorted(play.publish()) == [1, 2]
    assert play.waiting() == 0
    queued = [(event.order_number, event.starts) for event in play.events() if event.kind == JOB_QUEUED]
    assert sorted(queued) == [(1, 0), (1, 2), (1, 3), (2, 0)]  # again without a start in between: told once


def test_each_run_has_its_own_entries(play: Play) -> None:
    other = Play(play.database)
    put(play, 1)
    put(other, 2)
    assert play.publish() == [1]
    assert other.waiting() == 1


def test_a_second_relay_skips_what_the_first_has_taken(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    put(play, *range(6))
    with play.database.transaction() as first:
        taken = first.outbox.take(play.run.id, 4)
        assert play.publish() == [4, 5]
        first.outbox.sent(taken, 0.001)
    assert play.waiting() == 0


def test_entries_that_another_transaction_still_writes_are_not_seen(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    with play.database.transaction() as writer:
        writer.outbox.put([OutboxEntry.of(play.job(1))])
        assert play.publish() == []
    assert play.publish() == [1]


def test_a_job_counts_as_queued_from_when_it_was_taken(play: Play) -> None:
    """A worker may start it before its producer has heard the broker's confirm, let alone written it."""
    play.acknowledge(0)
    with play.database.transaction() as work:
        taken = work.outbox.take(play.run.id, 10)
    (claim,) = play.claim(play.request(0))
    assert claim.granted
    with play.database.transaction() as work:
        work.outbox.sent(taken, 0.001)
    events, _ = play.database.feed.read(play.run.id, None, 100)
    at = {recorded.event.kind: recorded.at for recorded in events}
    assert at["job.queued"] <= at["job.started"]


def test_what_was_cancelled_while_it_was_published_is_not_told_to_be_queued(play: Play) -> None:
    play.acknowledge(0, 1)
    with play.database.transaction() as work:
        taken = work.outbox.take(play.run.id, 10)
    with play.database.transaction() as work:
        assert work.orders.cancel_waiting(play.run.id) == 2
    with play.database.transaction() as work:
        work.outbox.sent(taken, 0.001)
    assert "job.queued" not in [event.kind for event in play.events(0)]
