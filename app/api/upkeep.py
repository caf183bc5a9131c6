"""What a server does from time to time, beside its runs. Safe to be done by many servers at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from anyio import to_thread

from app.bootstrap import Bundle
from app.domain.errors import Unavailable
from app.ports import EndedRun
from app.runs.tending.prune import find_expired, prune
from app.runs.tending.webhooks import Courier

log = structlog.get_logger()

# Seconds.
WEBHOOKS_EVERY = 5.0
RETENTION_EVERY = 3600.0

ShouldStop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Duty:
    """Done at once and then every so many ``seconds``, in a thread; what it raises is logged, and it goes on.

    ``action`` asks now and then whether it should stop.
    """

    name: str
    seconds: float
    action: Callable[[ShouldStop], None]


class Upkeep:
    """Does its duties side by side, from ``start`` to ``stop``; used on the event loop only."""

    def __init__(self, duties: Sequence[Duty]) -> None:
        self._duties = duties
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = threading.Event()

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._go_on(duty), name=duty.name) for duty in self._duties]

    def stop(self) -> None:
        """Nothing new is begun; what is under way is soon over."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()

    async def _go_on(self, duty: Duty) -> None:
        said = ""
        while True:
            try:
                await to_thread.run_sync(duty.action, self._stopping.is_set, abandon_on_cancel=True)
                said = ""
            except Unavailable as error:
                if str(error) != said:
                    log.warning("a duty waits", duty=duty.name, reason=str(error))
                said = str(error)
            except Exception:  # a defect, which must not end all later ones
                log.exception("a duty failed", duty=duty.name)
            await asyncio.sleep(duty.seconds)


def tell_webhooks(courier: Courier) -> Duty:
    """Tell of runs whose producers did not live to do so."""

    def tell(should_stop: ShouldStop) -> None:
        while not should_stop() and courier.tell_next():
            pass

    return Duty("webhooks", WEBHOOKS_EVERY, tell)


def keep_retention(bundle: Bundle, seconds: float) -> Duty:
    """Remove what is older than that."""

    def remove(should_stop: ShouldStop) -> None:
        expired = find_expired(bundle.database, seconds)
        folder = bundle.settings.run_folder
        removed = prune(bundle.database, expired, bundle.studies, folder, _log_removed, should_stop)
        if any(removed.records.values()):
            log.info("old records removed", **removed.records)

    return Duty("retention", RETENTION_EVERY, remove)


def _log_removed(run: EndedRun) -> None:
    log.info("old run removed", run_id=run.id, run_key=run.run_key, ended_at=run.ended_at.isoformat())


def duties_of(bundle: Bundle) -> list[Duty]:
    """What the settings ask for."""
    seconds = bundle.settings.retention_seconds
    return [tell_webhooks(bundle.courier()), *([] if seconds is None else [keep_retention(bundle, seconds)])]
