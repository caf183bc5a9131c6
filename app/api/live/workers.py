"""Worker pools, pushed to every client when somebody is new or something about them changed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from anyio import to_thread

from app.domain.errors import YeeterError

log = structlog.get_logger()

LOOK = 2.0  # seconds between two looks, while there are clients
_PASSING = ("seen_at", "cpu", "jobs_per_second")  # of a worker: changes with every beat

Document = dict[str, Any]


class WorkersFeed:
    """Used on the event loop only."""

    def __init__(
        self,
        read: Callable[[], Document],
        tell: Callable[[Document], Awaitable[None]],
        has_clients: Callable[[], bool],
        look: float = LOOK,
    ) -> None:
        """``read`` is called in a thread; ``tell`` reaches every client."""
        self._read = read
        self._tell = tell
        self._has_clients = has_clients
        self._look = look
        self._task: asyncio.Task[None] | None = None
        self._known: Any = None

    def welcome(self) -> None:
        """Somebody is new: tell everybody at the next look, whether something changed or not."""
        self._known = None
        if self._task is None:
            self._task = asyncio.create_task(self._follow())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._look)
            if not self._has_clients():
                continue
            try:
                document = await to_thread.run_sync(self._read)
                lasting = _lasting(document)
                if lasting != self._known:
                    self._known = lasting
                    await self._tell(document)
            except YeeterError as error:
                log.warning("worker pools can't be looked at", reason=str(error))
            except Exception as error:  # a defect of one look must not end the others
                log.exception("a defect in a look at the worker pools", error=repr(error))


def _lasting(document: Document) -> Any:
    workers = [{name: worker[name] for name in worker if name not in _PASSING} for worker in document["workers"]]
    return document["pools"], workers
