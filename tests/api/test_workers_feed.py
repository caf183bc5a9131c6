"""Who is told of worker pools, and when they are looked at."""

from __future__ import annotations

import asyncio
from typing import Any

from app.api.live.workers import WorkersFeed

LOOK = 0.01  # seconds


def test_they_are_looked_at_only_while_somebody_watches() -> None:
    looks: list[int] = []
    told: list[dict[str, Any]] = []
    watching = True

    def read() -> dict[str, Any]:
        looks.append(1)
        return {"pools": [], "workers": []}

    async def tell(document: dict[str, Any]) -> None:
        told.append(document)

    async def watch() -> int:
        nonlocal watching
        feed = WorkersFeed(read, tell, lambda: watching, LOOK)
        feed.welcome()
        async with asyncio.timeout(30):
            while len(looks) < 3:
                await asyncio.sleep(LOOK)
        watching = False
        await asyncio.sleep(10 * LOOK)
        before = len(looks)
        await asyncio.sleep(20 * LOOK)
        feed.close()
        return len(looks) - before

    assert asyncio.run(watch()) == 0
    assert len(told) == 1
