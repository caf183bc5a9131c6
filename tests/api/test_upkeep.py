"""What a server does from time to time: again and again, whatever happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.api.upkeep import Duty, Upkeep
from app.domain.errors import Unavailable


def done(action: Callable[[int], None], times: int) -> int:
    """How often a duty was done, when it was to be done so many times and something else besides."""
    count = 0

    async def run() -> None:
        enough, other = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def act() -> None:
            nonlocal count
            count += 1
            if count == times:
                loop.call_soon_threadsafe(enough.set)
            action(count)

        upkeep = Upkeep([Duty("tested", 0.0, act), Duty("other", 3600.0, lambda: loop.call_soon_threadsafe(other.set))])
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
