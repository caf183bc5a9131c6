"""Followers of a run: whoever joins whenever, wherever he stands, gets what follows, whole and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from app.adapters.database import SqlDatabase
from app.api.live.hub import Hub
from app.api.live.tailer import PAGE, PROGRESS_INTERVAL, RECENT, Tailer
from app.domain.errors import InvalidInput, NotFound, Unavailable
from app.domain.event import RUN_NOTE, RUN_STATE, Event, RecordedEvent
from app.domain.run import Run, RunState
from app.domain.template import StepTypes
from app.runs.start import RunRequest, start_run
from tests.runs.conftest import BASE_TIME

TYPES = StepTypes({"GENERATE_HL7": lambda parameters: None})
TEMPLATE = {"name": "followed", "steps": [{"type": "GENERATE_HL7"}]}


class Outlet:
    """Clients that keep what they get; a slow one takes nothing until it is let go."""

    def __init__(self) -> None:
        self.got: dict[str, list[dict[str, Any]]] = {}
        self.told: list[tuple[float, str, dict[str, Any]]] = []
        self.changed = asyncio.Condition()
        self.slow: dict[str, asyncio.Event] = {}

    async def to_client(self, sid: str, event: str, data: dict[str, Any]) -> None:
        if event == "run.event":
            async with self.changed:
                self.got.setdefault(sid, []).extend(data["events"])
                self.changed.notify_all()

    async def to_room(self, room: str, event: str, data: dict[str, Any]) -> None:
        async with self.changed:
            self.told.append((asyncio.get_running_loop().time(), event, data))
            self.changed.notify_all()

    async def has_room(self, sid: str) -> None:
        if sid in self.slow:
            await self.slow[sid].wait()

    async def until(self, met: Any) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(met)

    def numbers(self, sid: str) -> list[int]:
        return [event["data"]["n"] for event in self.got.get(sid, []) if event["kind"] == RUN_NOTE]


@pytest.fixture
def database(database_url: str) -> Iterator[SqlDatabase]:
    database = SqlDatabase(database_url)
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def run(database: SqlDatabase) -> Run:
    return start_run(database, TYPES, RunRequest(TEMPLATE), BASE_TIME.astimezone())


def write(database: SqlDatabase, run: Run, first: int, count: int) -> None:
    with database.transaction() as work:
        work.journal.append([Event(run.id, RUN_NOTE, data={"n": n, "text": ""}) for n in range(first, first + count)])


@asynccontextmanager
async def following(database: SqlDatabase, linger: float = 30.0) -> AsyncIterator[tuple[Hub, Outlet]]:
    outlet = Outlet()
    hub = Hub(database, outlet, linger)
    yield hub, outlet
    hub.close()


def test_everybody_gets_everything_that_follows(database: SqlDatabase, run: Run) -> None:
    groups, size = 30, 100
    total = groups * size

    async def play() -> Outlet:
        async with following(database) as (hub, outlet):
            outlet.slow["late-reader"] = asyncio.Event()
            for sid in ("first", "late-reader"):
                await hub.subscribe(sid, run, None, events=True)
            for group in range(groups):
                await asyncio.to_thread(write, database, run, group * size, size)
                events, _ = await asyncio.to_thread(database.feed.read, run.id, None, 1 + group * size // 2)
                # Joins where it has read to over REST: behind the tailer, or ahead of it.
                await hub.subscribe(f"joined-{group}", run, events[-1].cursor, events=True)
            outlet.slow["late-reader"].set()
            sids = ["first", "late-reader", *(f"joined-{group}" for group in range(groups))]
            await outlet.until(lambda: all(outlet.numbers(sid)[-1:] == [total - 1] for sid in sids))
            return outlet

    outlet = asyncio.run(play())
    assert outlet.numbers("first") == outlet.numbers("late-reader") == list(range(total))
    for group in range(groups):
        assert outlet.numbers(f"joined-{group}") == list(range(group * size // 2, total))


def test_a_cursor_ahead_of_the_tailer_gets_nothing_twice(database: SqlDatabase, run: Run) -> None:
    async def play() -> Outlet:
        async with following(database) as (hub, outlet):
            write(database, run, 0, 50)
            newest = database.feed.newest(run.id)
            await hub.subscribe("ahead", run, newest, events=True)  # the tailer has not even begun
            await hub.subscribe("behind", run, None, events=True)
            await outlet.until(lambda: len(outlet.numbers("behind")) == 50)
            write(database, run, 50, 50)
            await outlet.until(lambda: len(outlet.numbers("behind")) == 100)
            await outlet.until(lambda: len(outlet.numbers("ahead")) >= 50)
            return outlet

    assert asyncio.run(play()).numbers("ahead") == list(range(50, 100))


def test_what_is_no_longer_in_memory_comes_from_the_database(database: SqlDatabase, run: Run) -> None:
    total = RECENT + 700
    write(database, run, 0, total)

    async def play() -> Outlet:
        async with following(database) as (hub, outlet):
            await hub.subscribe("quick", run, None, events=True)
            await outlet.until(lambda: outlet.numbers("quick")[-1:] == [total - 1])
            await hub.subscribe("late", run, None, events=True)
            await outlet.until(lambda: outlet.numbers("late")[-1:] == [total - 1])
            return outlet

    outlet = asyncio.run(play())
    assert outlet.numbers("quick") == outlet.numbers("late") == list(range(total))


def test_a_client_that_subscribes_again_goes_on_from_the_new_cursor_only(database: SqlDatabase, run: Run) -> None:
    async def play() -> Outlet:
        async with following(database) as (hub, outlet):
            write(database, run, 0, 10)
            await hub.subscribe("client", run, None, events=True)
            await outlet.until(lambda: len(outlet.numbers("client")) == 10)
            await hub.subscribe("client", run, database.feed.newest(run.id), events=True)
            write(database, run, 10, 10)
            await outlet.until(lambda: len(outlet.numbers("client")) >= 20)
            return outlet

    assert asyncio.run(play()).numbers("client") == list(range(20))


def test_states_are_told_in_order_and_progress_at_most_so_often(database: SqlDatabase, run: Run) -> None:
    async def play() -> Outlet:
        async with following(database) as (hub, outlet):
            await hub.subscribe("client", run, None, events=False)
            for group in range(20):
                await asyncio.to_thread(write, database, run, group, 1)
                await asyncio.sleep(0.02)
            for state in (RunState.CANCELLING, RunState.CANCELLED):
                with database.transaction() as work:
                    work.runs.move(run.id, state)
                await outlet.until(lambda wanted=state: outlet.told[-1][2].get("state") == wanted)
            assert hub.subscriptions("client") == [run.id]
            return outlet

    outlet = asyncio.run(play())
    states = [data["state"] for _, event, data in outlet.told if event == "run.status"]
    assert states[-2:] == ["CANCELLING", "CANCELLED"]
    moments = [moment for moment, event, _ in outlet.told if event == "run.progress"]
    assert all(later - earlier >= 0.99 * PROGRESS_INTERVAL for earlier, later in pairwise(moments))
    assert outlet.got == {}


def test_a_tailer_ends_when_nobody_has_come_back(database: SqlDatabase, run: Run) -> None:
    async def play() -> int:
        async with following(database, linger=0.0) as (hub, _):
            before = len(asyncio.all_tasks())
            await hub.subscribe("client", run, None, events=True)
            hub.unsubscribe("client", run.id)
            hub.unsubscribe("client", run.id)
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(0.01)
            return len(hub.subscriptions("client"))

    assert asyncio.run(asyncio.wait_for(play(), 30)) == 0


def test_only_a_run_that_is_there_is_found_and_only_with_a_cursor(database: SqlDatabase, run: Run) -> None:
    async def play() -> None:
        async with following(database) as (hub, _):
            assert (await hub.find(run.run_key, None)).id == run.id
            with pytest.raises(NotFound):
                await hub.find("no-such", None)
            with pytest.raises(InvalidInput):
                await hub.find(run.id, "rubbish")

    asyncio.run(play())


def test_a_tailer_outlives_the_database_and_ends_with_its_run(run: Run) -> None:
    ended = RecordedEvent("c1", run.created_at, Event(run.id, RUN_STATE, data={"state": "FAILED"}))
    answers: list[list[RecordedEvent] | Unavailable] = [Unavailable("it restarts"), [ended]]
    told: list[str] = []

    async def read_feed(cursor: str | None, limit: int) -> list[RecordedEvent]:
        answer = answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    async def read_run() -> Run:
        raise NotFound("it was deleted")

    async def tell(event: str, message: dict[str, Any]) -> None:
        told.append(event)

    asyncio.run(asyncio.wait_for(Tailer(run, read_feed, read_run, tell).run(), 30))
    assert told == ["run.progress"]


def test_the_lag_grows_until_the_feed_is_read_to_its_end(run: Run) -> None:
    now = 100.0
    full = [RecordedEvent(str(number), BASE_TIME, Event(run.id, RUN_NOTE)) for number in range(PAGE)]
    pages = [full, full, []]
    lags = []

    async def read_feed(cursor: str | None, limit: int) -> list[RecordedEvent]:
        nonlocal now
        now += 7.0
        lags.append(tailer.lag)
        if not pages:
            raise NotFound("the run was deleted")
        return pages.pop(0)

    async def read_run() -> Run:
        return run

    async def tell(event: str, message: dict[str, Any]) -> None: ...

    tailer = Tailer(run, read_feed, read_run, tell, clock=lambda: now)
    asyncio.run(asyncio.wait_for(tailer.run(), 30))
    assert lags == [7.0, 14.0, 21.0, 7.0]
