"""Live runs over Socket.IO, by a real client over a websocket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import socketio

from tests.api.conftest import Server

NAMESPACE = "/simulator"
Message = dict[str, Any]


class Watcher:
    """A client that keeps what it is told."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = socketio.AsyncClient(reconnection=False)
        self._changed = asyncio.Event()
        self.status: list[Message] = []
        self.progress: list[tuple[float, Message]] = []
        self.events: list[Message] = []
        self.workers: list[Message] = []
        self.cursor: str | None = None
        for event, handler in (
            ("run.status", self.status.append),
            ("run.progress", lambda message: self.progress.append((time.monotonic(), message))),
            ("run.event", self._on_events),
            ("workers", self.workers.append),
        ):
            self._client.on(event, self._telling(handler), namespace=NAMESPACE)

    def _on_events(self, message: Message) -> None:
        self.events += message["events"]
        self.cursor = message["cursor"]

    def _telling(self, handler: Callable[[Message], None]) -> Callable[[Message], Coroutine[Any, Any, None]]:
        async def handle(message: Message) -> None:
            handler(message)
            self._changed.set()

        return handle

    async def connect(self) -> None:
        await self._client.connect(self._url, namespaces=[NAMESPACE], transports=["websocket"])

    async def disconnect(self) -> None:
        await self._client.disconnect()

    async def ask(self, event: str, data: Any) -> Message:
        return dict(await self._client.call(event, data, namespace=NAMESPACE, timeout=30))

    async def until(self, met: Callable[[], bool], seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds):
            while not met():
                self._changed.clear()
                await self._changed.wait()

    def has_events(self) -> bool:
        return bool(self.events)

    def has_ended(self) -> bool:
        return any(event["data"].get("state") == "COMPLETED" for event in self.events)


def test_a_client_that_comes_and_goes_gets_every_event_once(server: Server) -> None:
    run = server.start_run(orders=20, overrides={"arrival": {"model": "constant", "rate": 10}})

    async def visit(cursor: str | None, until: Callable[[Watcher], bool]) -> Watcher:
        watcher = Watcher(server.url)
        await watcher.connect()
        answer = await watcher.ask("subscribe", {"run_id": run["run_key"], "cursor": cursor, "events": True})
        assert answer == {"ok": True, "run_id": run["id"], "cursor": cursor}
        await watcher.until(lambda: until(watcher))
        await watcher.disconnect()  # a message on its way is one that it has not got: only its cursor counts
        return watcher

    async def follow() -> list[Message]:
        events: list[Message] = []
        cursor = None
        for until in (Watcher.has_events, Watcher.has_events, Watcher.has_events, Watcher.has_ended):
            watcher = await visit(cursor, until)
            events, cursor = events + watcher.events, watcher.cursor
            if watcher.has_ended():
                break
        return events

    events = asyncio.run(follow())
    assert events == server.every_event(run["id"])
    assert len({event["cursor"] for event in events}) == len(events)


def test_progress_and_status_lead_to_the_end(server: Server) -> None:
    run = server.start_run(orders=20, overrides={"arrival": {"model": "constant", "rate": 20}})

    async def follow() -> Watcher:
        watcher = Watcher(server.url)
        await watcher.connect()
        await watcher.ask("subscribe", {"run_id": run["id"]})
        await watcher.until(lambda: any(status["state"] == "COMPLETED" for status in watcher.status))
        await watcher.disconnect()
        return watcher

    watcher = asyncio.run(follow())
    assert watcher.events == []
    end = {"run_id": run["id"], "run_key": run["run_key"], "state": "COMPLETED", "verdict": "pass", "reason": ""}
    assert watcher.status[-1] == end
    moments = [moment for moment, _ in watcher.progress]
    assert all(later - earlier > 0.1 for earlier, later in zip(moments, moments[2:], strict=False))
    last = watcher.progress[-1][1]
    assert last["run_id"] == run["id"]
    assert {name: last[name] for name in ("requested", "emitted", "acknowledged", "completed")} == dict.fromkeys(
        ("requested", "emitted", "acknowledged", "completed"), 20
    )
    empty = ("failed", "cancelled", "jobs_queued", "jobs_running", "remaining_queue_depth", "active_workers")
    assert [last[name] for name in empty] == [0] * len(empty)
    assert last["instances_stored"] == last["instances_generated"] == 20
    assert last["mean_processing_seconds"] > 0


def test_one_who_comes_late_is_told_where_the_run_stands(server: Server, ended_run: Message) -> None:
    async def look() -> Watcher:
        watcher = Watcher(server.url)
        await watcher.connect()
        await watcher.ask("subscribe", {"run_id": ended_run["id"], "events": True})
        await watcher.until(lambda: bool(watcher.progress and watcher.status) and watcher.has_ended())
        await watcher.disconnect()
        return watcher

    watcher = asyncio.run(look())
    assert watcher.status[0]["state"] == "COMPLETED"
    assert watcher.progress[0][1]["completed"] == 12
    assert watcher.events == server.every_event(ended_run["id"])


def test_many_look_on_each_from_where_he_stands(server: Server, ended_run: Message) -> None:
    everything = server.every_event(ended_run["id"])

    async def look(place: int) -> list[Message]:
        watcher = Watcher(server.url)
        await watcher.connect()
        cursor = everything[place - 1]["cursor"] if place else None
        await watcher.ask("subscribe", {"run_id": ended_run["id"], "events": True, "cursor": cursor})
        await watcher.until(watcher.has_ended)
        await watcher.disconnect()
        return watcher.events

    async def all_of_them(places: list[int]) -> list[list[Message]]:
        return await asyncio.gather(*(look(place) for place in places))

    places = [0, 1, 5, len(everything) - 1]
    assert asyncio.run(all_of_them(places)) == [everything[place:] for place in places]


def test_who_unsubscribes_is_told_no_more(server: Server, ended_run: Message) -> None:
    async def look() -> tuple[Message, int]:
        watcher = Watcher(server.url)
        await watcher.connect()
        await watcher.ask("subscribe", {"run_id": ended_run["id"]})
        await watcher.until(lambda: bool(watcher.status))
        answer = await watcher.ask("unsubscribe", {"run_id": ended_run["id"]})
        told = len(watcher.status)
        await watcher.ask("subscribe", {"run_id": "no-such"})  # an answer that comes behind whatever was on its way
        await watcher.disconnect()
        return answer, len(watcher.status) - told

    assert asyncio.run(look()) == ({"ok": True}, 0)


@pytest.mark.parametrize(
    ("event", "data", "status", "field"),
    [
        ("subscribe", {"run_id": "no-such"}, 404, None),
        ("subscribe", {}, 422, "run_id"),
        ("subscribe", {"run_id": 5}, 422, "run_id"),
        ("subscribe", {"run_id": "a\x00"}, 422, "run_id"),
        ("subscribe", "no mapping", 422, ""),
        ("subscribe", None, 422, ""),
        ("subscribe", {"run_id": "ENDED", "cursor": "rubbish"}, 422, "after"),
        ("subscribe", {"run_id": "ENDED", "from": 5}, 422, "from"),
        ("unsubscribe", {"run_id": "no-such"}, 404, None),
        ("unsubscribe", [], 422, ""),
    ],
)
def test_an_error_is_answered_with_a_problem_document(
    server: Server, ended_run: Message, event: str, data: Any, status: int, field: str | None
) -> None:
    if isinstance(data, dict) and data.get("run_id") == "ENDED":
        data = data | {"run_id": ended_run["id"]}

    async def ask() -> Message:
        watcher = Watcher(server.url)
        await watcher.connect()
        answer = await watcher.ask(event, data)
        await watcher.disconnect()
        return answer

    answer = asyncio.run(ask())
    assert answer["ok"] is False
    assert answer["problem"]["status"] == status
    if field is not None:
        assert field in [problem["field"] for problem in answer["problem"]["problems"]]


def test_a_page_of_another_origin_does_not_connect(server: Server) -> None:
    async def connect() -> None:
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(
            server.url,
            namespaces=[NAMESPACE],
            transports=["websocket"],
            headers={"Origin": "http://evil.example"},
        )

    with pytest.raises(socketio.exceptions.ConnectionError):
        asyncio.run(connect())


def test_worker_pools_are_told_to_who_is_new_and_when_something_changed(server: Server) -> None:
    async def look_on() -> list[Message]:
        watcher = Watcher(server.url)
        await watcher.connect()
        await watcher.until(lambda: len(watcher.workers) == 1)
        pin = server.http.post("/api/admin/workers/scale", json={"replicas": 3}).json()["pin"]
        await watcher.until(lambda: len(watcher.workers) == 2)
        server.http.post("/api/admin/workers/scale", json={"replicas": None})
        await watcher.disconnect()
        assert watcher.workers[1]["pools"][0]["pin"] == pin
        return watcher.workers

    first, _ = asyncio.run(look_on())
    assert [pool["name"] for pool in first["pools"]] == ["default"]
