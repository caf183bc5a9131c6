"""What a producer sees to about every second beside its orders: parked and lost jobs, and what people should know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import structlog

from app.domain.errors import Unavailable
from app.runs.producing.lease import Lease, LeaseLost
from app.runs.producing.notes import Notes
from app.util.threads import WatchedThread

log = structlog.get_logger()


class Housekeeper:
    """A thread that has each of the ``duties`` look, in turn."""

    def __init__(self, lease: Lease, notes: Notes, seconds: float, duties: Sequence[Callable[[], None]]) -> None:
        self._lease = lease
        self._notes = notes
        self._seconds = seconds
        self._duties = duties
        self._stopping = threading.Event()
        self._thread = WatchedThread(self._loop, f"housekeeper-{lease.run_id[:8]}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def check(self) -> None:
        """Raises RuntimeError when its thread died, which is a defect."""
        self._thread.check()

    def _loop(self) -> None:
        said = ""
        while not self._stopping.wait(self._seconds):
            try:
                self._look()
                said = ""
            except LeaseLost:
                return  # whoever waits for the run's end sees it, too
            except Unavailable as error:
                if str(error) != said:
                    log.warning("housekeeping waits for the database", run_id=self._lease.run_id, reason=str(error))
                said = str(error)

    def _look(self) -> None:
        while self._lease.gaps:
            self._notes.write(self._lease.gaps.popleft())
        for duty in self._duties:
            duty()
