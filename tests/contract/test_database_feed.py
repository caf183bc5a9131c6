"""The event feed: everything once, in one order for all readers, whatever commits late."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from app.adapters.database import SqlDatabase
from app.domain.event import RUN_NOTE, Event, RecordedEvent
from tests.contract.database_fixtures import Play


class Reader:
    """Reads a run's feed page by page, and keeps what it has read."""

    def __init__(self, play: Play, limit: int = 1000) -> None:
        self._play = play
        self._limit = limit
        self._cursor: str | None = None
        self.read: list[RecordedEvent] = []
        self.read_on()
        self.read.clear()  # the run's own first event

    def read_on(self) -> Sequence[RecordedEvent]:
        new, self._cursor = self._play.database.feed.read(self._play.run.id, self._cursor, self._limit)
        self.read += new
        return new

    def read_to_the_end(self) -> None:
        while self._play.database.feed.holds_back(self._play.run.id) | bool(self.read_on()):
            pass

    @property
    def texts(self) -> list[str]:
        return [recorded.event.data["text"] for recorded in self.read]


def note(play: Play, text: str, order_number: int | None = None) -> Event:
    return Event(play.run.id, RUN_NOTE, order_number, data={"text": text})


def append(play: Play, *texts: str) -> None:
    with play.database.transaction() as work:
        work.journal.append([note(play, text) for text in texts])


def test_a_reader_goes_on_from_its_cursor(play: Play) -> None:
    reader = Reader(play, limit=2)
    append(play, "a", "b", "c")
    assert [len(reader.read_on()) for _ in range(3)] == [2, 1, 0]
    append(play, "d")
    reader.read_on()
    assert reader.texts == ["a", "b", "c", "d"]
    assert [event.at for event in reader.read] == sorted(event.at for event in reader.read)


def test_an_event_is_read_as_it_was_written(play: Play) -> None:
    texts = ["plain", 'a "quoted", [one]', "Ωmega\n"]
    written = [Event(play.run.id, RUN_NOTE, data={"text": text, "large": 10**22, "none": None}) for text in texts]
    with play.database.transaction() as work:
        work.journal.append(written)
    read = play.database.feed.read(play.run.id, None, 100)[0][-len(texts) :]
    assert [recorded.event for recorded in read] == written
    for recorded in read:
        assert recorded.at.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - recorded.at) < timedelta(minutes=1)


def test_the_cursor_of_each_event_is_a_place_to_go_on_from(play: Play) -> None:
    append(play, *"abcdef")
    everything, end = play.database.feed.read(play.run.id, None, 100)
    for position, event in enumerate(everything):
        rest, last = play.database.feed.read(play.run.id, event.cursor, 100)
        assert rest == everything[position + 1 :]
        assert last == (rest[-1].cursor if rest else event.cursor)
    assert end == everything[-1].cursor


def test_nothing_new_leaves_the_cursor_as_it_is(play: Play) -> None:
    _, end = play.database.feed.read(play.run.id, None, 100)
    assert play.database.feed.read(play.run.id, end, 100) == ([], end)
    assert play.database.feed.read("00000000-0000-0000-0000-000000000000", None, 100) == ([], None)


def test_the_feed_of_one_order(play: Play) -> None:
    with play.database.transaction() as work:
        work.journal.append([note(play, f"{n}", order_number=n % 3) for n in range(9)])
    found, cursor = play.database.feed.read(play.run.id, None, 2, order_number=1)
    rest, _ = play.database.feed.read(play.run.id, cursor, 100, order_number=1)
    assert [recorded.event.data["text"] for recorded in (*found, *rest)] == ["1", "4", "7"]


def test_the_newest_place_is_where_a_new_reader_begins(play: Play) -> None:
    feed = play.database.feed
    append(play, "before")
    newest = feed.newest(play.run.id)
    append(play, "after")
    found, _ = feed.read(play.run.id, newest, 100)
    assert [recorded.event.data["text"] for recorded in found] == ["after"]
    assert feed.newest("00000000-0000-0000-0000-000000000000") is None


def test_a_run_sees_no_other_run(play: Play) -> None:
    other = Play(play.database)
    append(other, "elsewhere")
    assert "elsewhere" not in [event.data.get("text") for event in play.events()]


def test_what_begins_first_and_commits_last_is_not_missed(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    reader = Reader(play)
    with play.database.transaction() as late:
        late.journal.append([note(play, "begun first")])
        append(play, "committed first")
        assert reader.read_on() == []
        assert play.database.feed.holds_back(play.run.id)
        late.journal.append([note(play, "begun first, written last")])
    reader.read_to_the_end()
    assert reader.texts == ["begun first", "begun first, written last", "committed first"]


def test_the_feed_waits_for_older_transactions_of_other_runs_too(postgres_database: SqlDatabase) -> None:
    play, other = Play(postgres_database), Play(postgres_database)
    reader = Reader(play)
    with play.database.transaction() as older:
        older.journal.append([note(other, "elsewhere")])
        append(play, "here")
        assert reader.read_on() == []
        newest = play.database.feed.newest(play.run.id)
        assert play.database.feed.holds_back(play.run.id)
        assert not play.database.feed.holds_back(other.run.id)
    reader.read_to_the_end()
    assert reader.texts == ["here"]
    assert play.database.feed.newest(play.run.id) != newest


def test_a_transaction_that_only_reads_holds_nothing_back(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    reader = Reader(play)
    with play.database.transaction() as idle:
        idle.runs.get(play.run.id)
        append(play, "here")
        assert len(reader.read_on()) == 1


def test_a_transaction_that_fails_holds_nothing_back(postgres_database: SqlDatabase) -> None:
    play = Play(postgres_database)
    reader = Reader(play)
    with pytest.raises(ZeroDivisionError), play.database.transaction() as failing:
        failing.journal.append([note(play, "never")])
        append(play, "here")
        raise ZeroDivisionError
    reader.read_to_the_end()
    assert reader.texts == ["here"]


@pytest.mark.parametrize("seed", range(3))
def test_many_writers_and_readers_skip_nothing_and_repeat_nothing(play: Play, seed: int) -> None:
    writers, transactions = 6, 30
    ended = threading.Event()

    def write(writer: int) -> list[str]:
        draw = random.Random(f"{seed}-{writer}")
        written: list[str] = []
        for number in range(transactions):
            texts = [f"{writer}:{number}:{part}" for part in range(draw.randint(1, 4))]
            try:
                with play.database.transaction() as work:
                    for text in texts:  # one by one: others come in between
                        work.journal.append([note(play, text)])
                    if draw.random() < 0.2:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            written += texts
        return written

    def read(reader: Reader) -> Reader:
        while not ended.is_set():
            reader.read_on()
        reader.read_to_the_end()
        return reader

    with ThreadPoolExecutor(writers + 2) as threads:
        reading = [threads.submit(read, Reader(play, limit)) for limit in (3, 50)]
        writing = [threads.submit(write, writer) for writer in range(writers)]
        try:
            written = [text for each in writing for text in each.result()]
        finally:
            ended.set()
        slow, fast = (each.result() for each in reading)
    assert sorted(slow.texts) == sorted(written)
    assert slow.read == fast.read
    for writer in range(writers):
        own = [text for text in slow.texts if text.startswith(f"{writer}:")]
        assert own == [text for text in written if text.startswith(f"{writer}:")]
