"""What a server does from time to time: again and again, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update

from app.adapters.database.engine import make_engine
from app.adapters.database.tables import runs
from app.api.upkeep import Duty, Upkeep, duties_of
from app.domain.errors import Unavailable
from app.runs.producing.give_up import give_up
from tests.api.conftest import RUNS
from tests.api.in_process import InProcess, in_process


def done(action: Callable[[int], None], times: int) -> int:
    """How often a duty was done, when it was to be done so many times and something else besides."""
    count = 0

    async def run() -> None:
        enough, other = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def act(should_stop: Callable[[], bool]) -> None:
            nonlocal count
            count += 1
            if count == times:
                loop.call_soon_threadsafe(enough.set)
            action(count)

        def tell(should_stop: Callable[[], bool]) -> None:
            loop.call_soon_threadsafe(other.set)

        upkeep = Upkeep([Duty("tested", 0.0, act), Duty("other", 3600.0, tell)])
        upkeep.start()
        await enough.wait()
        await other.wait()
        upkeep.stop()

    asyncio.run(run())
    return count


def test_a_duty_is_done_again_and_again() -> None:
    assert done(lambda count: None, 3) >= 3


def test_neither_a_database_that_is_away_nor_a_defect_ends_it() -> None:
    def fail(count: int) -> None:
        raise Unavailable("away") if count % 2 else ZeroDivisionError

    assert done(fail, 4) >= 4


def test_a_server_removes_what_is_older_than_its_retention(tmp_path: Path) -> None:
    with in_process(tmp_path, retention="1s") as api:
        run = api.ask("POST", RUNS, json={"template": "metadata-only"}).json()
        young = api.ask("POST", RUNS, json={"template": "metadata-only"}).json()
        give_up(api.bundle.database, run["id"], "test", 5.0)
        set_back(api, run["id"])
        names = [duty.name for duty in duties_of(api.bundle)]
        assert names == ["webhooks", "retention"]
        duties_of(api.bundle)[1].action(lambda: True)  # the server stops
        assert api.ask("GET", f"{RUNS}/{run['id']}").status_code == 200
        duties_of(api.bundle)[1].action(lambda: False)
        assert [api.ask("GET", f"{RUNS}/{each['id']}").status_code for each in (run, young)] == [404, 200]


def test_a_server_without_one_keeps_everything(tmp_path: Path) -> None:
    with in_process(tmp_path) as api:
        assert [duty.name for duty in duties_of(api.bundle)] == ["webhooks"]


def set_back(api: InProcess, run_id: str) -> None:
    """The run ended a day earlier."""
    engine = make_engine(api.bundle.settings.sqlalchemy_url)
    with engine.begin() as connection:
        finished_at = connection.execute(select(runs.c.finished_at).where(runs.c.id == run_id)).scalar_one()
        earlier = {"finished_at": finished_at - timedelta(days=1)}
        connection.execute(update(runs).where(runs.c.id == run_id).values(earlier))
    engine.dispose()
