"""What a server does from time to time, beside its runs. Safe to be done by many servers at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from anyio import to_thread

from app.domain.errors import Unavailable
from app.runs.tending.webhooks import Courier

log = structlog.get_logger()

WEBHOOKS_EVERY = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Duty:
    """Done at once and then every so many ``seconds``, in a thread; what it raises is logged, and it goes on."""

    name: str
    seconds: float
    action: Callable[[], None]


class Upkeep:
    """Does its duties side by side, from ``start`` to ``stop``; used on the event loop only."""

    def __init__(self, duties: Sequence[Duty]) -> None:
        self._duties = duties
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(_go_on(duty), name=duty.name) for duty in self._duties]

    def stop(self) -> None:
        """Nothing new is begun; what is under way ends by itself."""
        for task in self._tasks:
            task.cancel()


def tell_webhooks(courier: Courier) -> Duty:
    """Tell of runs whose producers did not live to do so."""

    def tell() -> None:
        while courier.tell_next():
            pass

    return Duty("webhooks", WEBHOOKS_EVERY, tell)


async def _go_on(duty: Duty) -> None:
    said = ""
    while True:
        try:
            await to_thread.run_sync(duty.action, abandon_on_cancel=True)
            said = ""
        except Unavailable as error:
            if str(error) != said:
                log.warning("a duty waits", duty=duty.name, reason=str(error))
            said = str(error)
        except Exception:  # a defect, which must not end all later ones
            log.exception("a duty failed", duty=duty.name)
        await asyncio.sleep(duty.seconds)
