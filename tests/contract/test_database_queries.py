"""Pages, filters and cursors."""

from __future__ import annotations

import base64
import json
import time
import uuid
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.database import SqlDatabase
from app.adapters.database.cursors import decode_cursor, encode_cursor, encode_place
from app.domain.errors import InvalidInput, NotFound
from app.domain.run import OrderState, Run, RunState
from app.domain.work import OrderRow
from tests.contract.database_fixtures import Play, new_run


def pages(play: Play, limit: int, **filters: Any) -> list[list[OrderRow]]:
    found, after = [], None
    while True:
        wanted: dict[str, Any] = {"state": None, "search": None, "after": after, "limit": limit} | filters
        page = play.database.queries.orders(play.run.id, **wanted)
        found.append(page.rows)
        after = page.next_cursor
        if after is None:
            return found


def numbers(play: Play, **filters: Any) -> list[int]:
    return [row.number for page in pages(play, 100, **filters) for row in page]


# --- orders ---


@pytest.mark.parametrize(("limit", "sizes"), [(3, [3, 3, 1]), (7, [7]), (100, [7]), (1, [1] * 7)])
def test_orders_come_in_pages_by_number(play: Play, limit: int, sizes: list[int]) -> None:
    play.begin(5, 3, 9, 0, 1, 100, 2)
    found = pages(play, limit)
    assert [len(page) for page in found] == sizes
    assert [row.number for page in found for row in page] == [0, 1, 2, 3, 5, 9, 100]


def test_orders_begin_at_a_number_whether_it_is_there_or_not(play: Play) -> None:
    play.begin(0, 1, 2, 5, 9)
    assert numbers(play, first=0) == [0, 1, 2, 5, 9]
    assert numbers(play, first=2) == [2, 5, 9]
    assert numbers(play, first=3) == [5, 9]
    assert numbers(play, first=10) == []
    assert [[row.number for row in page] for page in pages(play, 2, first=1)] == [[1, 2], [5, 9]]
    play.acknowledge(6, 7)
    assert numbers(play, first=2, state=OrderState.WAITING) == [6, 7]


def test_a_run_without_orders_has_one_empty_page(play: Play) -> None:
    assert pages(play, 10) == [[]]


def test_a_cursor_stays_good_while_orders_come_and_go(play: Play) -> None:
    play.begin(*range(0, 20, 2))
    first = play.database.queries.orders(play.run.id, state=None, search=None, after=None, limit=3)
    assert [row.number for row in first.rows] == [0, 2, 4]
    play.begin(1, 5, 7)
    with play.database.transaction() as work:
        work.orders.forget(play.run.id, [4, 6])
    rest = numbers(play, after=first.next_cursor)
    assert rest == [5, 7, 8, 10, 12, 14, 16, 18]


def test_orders_of_a_state(play: Play) -> None:
    play.acknowledge(0, 1)
    play.begin(2)
    assert numbers(play, state=OrderState.WAITING) == [0, 1]
    assert numbers(play, state=OrderState.SENDING) == [2]
    assert numbers(play, state=OrderState.FAILED) == []


def test_orders_are_found_by_what_people_know_of_them(play: Play) -> None:
    names = ["Müller^Änne^^Dr^", "O'Brien^Pat", "100%^Percy", "Under_Score^Una", "Back\\Slash^Bo", "Иванова^Анна"]
    with play.database.transaction() as work:
        work.orders.begin(play.run.id, [play.intent(i, patient_name=name) for i, name in enumerate(names)])

    def search(text: str) -> list[int]:
        return numbers(play, search=text)

    assert search(play.intent(3).accession) == [3]
    assert search(play.intent(3).accession[:-1]) == []  # accession numbers and patient IDs are known whole
    assert search("P000002") == [2]
    assert search("müller") == search("MüLLER^Ä") == [0]
    assert search("o'bri") == [1]
    assert search("%") == [2]
    assert search("_") == [3]
    assert search("\\") == [4]
    assert search("Анна") == [5]
    assert search("\x00") == search("\ud800") == search("nobody") == []
    assert search("") == list(range(6))


def test_orders_by_their_numbers_are_those_that_exist(play: Play) -> None:
    play.begin(*range(5))
    found = play.database.queries.numbered(play.run.id, [4, 1, 77])
    assert {number: row.number for number, row in found.items()} == {1: 1, 4: 4}
    assert play.database.queries.numbered(play.run.id, []) == {}
    assert sorted(play.database.queries.numbered(play.run.id, [4, 2, 3, 5])) == [2, 3, 4]  # of a range
    assert sorted(play.database.queries.numbered(play.run.id, [0, 2, 3])) == [0, 2, 3]  # without what lies between


def test_completed_orders_by_number(play: Play) -> None:
    play.acknowledge(*range(6))
    done = (0, 2, 3, 5)
    play.finish(*(play.finished(number, claim) for number, claim in zip(done, play.claim(*done), strict=True)))
    completed = partial(play.database.queries.completed, play.run.id)
    assert [completed(-1, 3), completed(3, 3), completed(5, 3)] == [[0, 2, 3], [5], []]


def test_one_order_with_its_steps(play: Play) -> None:
    play.acknowledge(4)
    order, steps = play.database.queries.order(play.run.id, 4)
    assert order.number == 4
    assert [step.step_index for step in steps] == [0, 1, 2]
    with pytest.raises(NotFound):
        play.database.queries.order(play.run.id, 5)
    with pytest.raises(NotFound):
        play.database.queries.order(str(uuid.uuid4()), 4)


# --- runs ---


def add_runs(database: SqlDatabase, template: str, count: int, **values: Any) -> list[Run]:
    added = [new_run(template_name=template, **values) for _ in range(count)]
    for run in added:
        with database.transaction() as work:
            work.runs.add(run)
    return added


def run_pages(database: SqlDatabase, template: str, limit: int, state: RunState | None = None) -> list[list[str]]:
    found, after = [], None
    while True:
        page = database.queries.runs(state=state, template=template, after=after, limit=limit)
        found.append([run.id for run in page.rows])
        after = page.next_cursor
        if after is None:
            return found


def test_runs_come_in_pages_the_newest_first(database: SqlDatabase) -> None:
    template = f"paged-{uuid.uuid4().hex}"
    with database.transaction() as work:  # some in the same instant
        for run in [new_run(template_name=template) for _ in range(3)]:
            work.runs.add(run)
    time.sleep(0.002)  # SQLite's clock has milliseconds
    latest = add_runs(database, template, 4)
    found = run_pages(database, template, limit=3)
    assert [len(page) for page in found] == [3, 3, 1]
    ids = [id_ for page in found for id_ in page]
    assert len(set(ids)) == 7
    assert set(ids[:4]) == {run.id for run in latest}
    assert run_pages(database, template, limit=7) == [ids]


def test_a_cursor_of_runs_stays_good_while_new_ones_start(database: SqlDatabase) -> None:
    template = f"growing-{uuid.uuid4().hex}"
    add_runs(database, template, 4)
    first = database.queries.runs(state=None, template=template, after=None, limit=2)
    add_runs(database, template, 3)
    second = database.queries.runs(state=None, template=template, after=first.next_cursor, limit=10)
    assert len(second.rows) == 2
    assert not {run.id for run in first.rows} & {run.id for run in second.rows}


def test_runs_of_a_state(database: SqlDatabase) -> None:
    template = f"states-{uuid.uuid4().hex}"
    [run, _] = add_runs(database, template, 2)
    with database.transaction() as work:
        work.runs.move(run.id, RunState.FAILED)
    assert run_pages(database, template, 10, RunState.FAILED) == [[run.id]]
    assert run_pages(database, template, 10, RunState.COMPLETED) == [[]]


# --- cursors that are not ours ---


def cursor_of(*values: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


BAD = [
    "",
    "x",
    "ä",
    "\x00",
    "not a cursor",
    "W" * 100_000,
    cursor_of(),
    cursor_of(1, 2, 3),
    cursor_of(None),
    cursor_of(True),
    cursor_of(1.5),
    cursor_of(2**63),
    cursor_of(-(2**70), 1),
    cursor_of("2026-01-01", 7),
    cursor_of("yesterday", str(uuid.uuid4())),
    cursor_of("2026-01-01T00:00:00+00:00", "nobody"),
    cursor_of("2026-01-01T00:00:00+00:00", "\x00"),
    cursor_of([[[]]]),
]


@pytest.mark.parametrize("cursor", BAD, ids=range(len(BAD)))
def test_a_cursor_that_is_not_ours_is_refused_as_input(play: Play, cursor: str) -> None:
    queries = play.database.queries
    for ask in (
        lambda: queries.runs(state=None, template=None, after=cursor, limit=1),
        lambda: queries.orders(play.run.id, state=None, search=None, after=cursor, limit=1),
        lambda: play.database.feed.read(play.run.id, cursor, 1),
    ):
        with pytest.raises(InvalidInput, match="after: not a cursor"):
            ask()


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_the_reading_of_cursors(text: str) -> None:
    with suppress(InvalidInput):
        assert decode_cursor(text, (int,))


@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(codec="ascii"), max_size=20))
def test_a_cursor_carries_what_was_put_in(number: int, text: str) -> None:
    assert decode_cursor(encode_cursor(number, text), (int, str)) == [number, text]


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_place_in_a_feed_is_a_cursor_like_any_other(xid: int, id_: int) -> None:
    assert encode_place(xid, id_) == encode_cursor(xid, id_)


# --- totals ---


def test_totals_are_of_all_runs_and_of_the_orders_and_jobs_of_those_that_go_on(
    database: SqlDatabase, play: Play
) -> None:
    ended = Play(database)
    ended.acknowledge(0)
    ended.publish()
    [claim] = ended.claim(0)
    ended.finish(ended.finished(0, claim))
    ended.move(RunState.RUNNING, RunState.WAITING_ON_WORKERS, RunState.RECONCILING, RunState.COMPLETED)
    before = database.queries.totals()
    play.acknowledge(0, 1, 2, 3)
    play.publish(2)
    [claim] = play.claim(0)
    play.finish(play.retried(0, claim, "verdict", delay=60.0))
    [claim] = play.claim(1)
    play.finish(play.finished(1, claim))
    after = database.queries.totals()
    changed = {state: after.orders[state] - before.orders[state] for state in OrderState}
    assert {state: count for state, count in changed.items() if count} == {
        OrderState.WAITING: 3,
        OrderState.COMPLETED: 1,
    }
    assert (after.unpublished - before.unpublished, after.due - before.due) == (3, 2)
    assert after.runs == before.runs and set(after.runs) == set(RunState)
    play.move(RunState.RUNNING)
    moved = database.queries.totals().runs
    assert moved[RunState.PENDING] == before.runs[RunState.PENDING] - 1
    assert moved[RunState.RUNNING] == before.runs[RunState.RUNNING] + 1
