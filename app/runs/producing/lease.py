"""The lease of a run: whoever holds it runs the run, and each of its writes proves that it still does.

A heartbeat thread renews it. A producer that was frozen for longer than its lease finds out at its next write, in that
write's own transaction: nothing is written by one that was overtaken.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from app.domain.errors import Conflict, Unavailable, YeeterError
from app.domain.run import RunState
from app.ports import Database, UnitOfWork
from app.runs.patience import Result, in_transaction
from app.util.threads import WatchedThread

log = structlog.get_logger()

LONGEST_BEAT = 0.25  # seconds between two renewals: also how late a cancel or a pause is seen
WORTH_TELLING = 1.0  # seconds without a renewal


class LeaseLost(Conflict):
    """Another producer has taken this run over; this one must not write any more."""


class HandedOver(YeeterError):
    """This producer was asked to leave its run to the next one."""


class Lease:
    """Our hold on a run, from its making to ``release``; a context manager. Thread-safe."""

    def __init__(self, database: Database, run_id: str, seconds: float, leaving: threading.Event | None = None) -> None:
        """``leaving``: set from outside, also by a signal's handler, when we shall leave the run to others.

        Raises:
            NotFound: there is no such run.
            Conflict: another producer holds it, or it has ended.
            Unavailable: the database is away.
        """
        self.run_id = run_id
        self.leaving = leaving or threading.Event()
        self.gaps: deque[str] = deque()  # what people should know of renewals that came late
        self._database = database
        self._seconds = seconds
        with database.transaction() as work:
            run = work.runs.get(run_id)
            if run.state.is_terminal:
                raise Conflict(f"run {run.run_key} has ended: it is {run.state}")
            self.state: RunState = run.state  # as it was seen last
            self._fence = work.leases.acquire(run_id, seconds)
        self._lost = threading.Event()
        self._stopping = threading.Event()
        self._thread = WatchedThread(self._loop, f"lease-{run_id[:8]}")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def check(self) -> None:
        """Raises LeaseLost, or RuntimeError when its thread died, which is a defect."""
        if self._lost.is_set():
            raise LeaseLost("another producer has taken this run over")
        self._thread.check()

    def check_whether_to_stay(self) -> None:
        """Raises HandedOver when we are to leave, and what ``check`` raises."""
        self.check()
        if self.leaving.is_set():
            raise HandedOver("the run is left to the next producer")

    # --- writing ---

    def write(self, block: Callable[[UnitOfWork], Result]) -> Result:
        """What ``block`` returns, in a transaction that only the holder of the lease can commit.

        It waits for a database that is away; ``block`` may be begun again, so doing it twice must do no harm.

        Raises:
            LeaseLost: the run was taken over; nothing is written.
            HandedOver: the database is away, and we are to leave.
        """
        return self.write_knowing(lambda work, _: block(work))

    def write_knowing(self, block: Callable[[UnitOfWork, RunState], Result]) -> Result:
        """As ``write``; ``block`` is told the run's state as it is at its beginning."""
        return in_transaction(self._database, self._fenced(block), self.check_whether_to_stay)

    def attempt(self, block: Callable[[UnitOfWork, RunState], Result]) -> Result:
        """As ``write_knowing``, without waiting: raises Unavailable when the database is away."""
        with self._database.transaction() as work:
            return self._fenced(block)(work)

    def _fenced(self, block: Callable[[UnitOfWork, RunState], Result]) -> Callable[[UnitOfWork], Result]:
        def fenced(work: UnitOfWork) -> Result:
            try:
                self.state = work.leases.hold(self.run_id, self._fence)
            except Conflict as error:
                self._lost.set()
                raise LeaseLost("another producer has taken this run over") from error
            return block(work, self.state)

        return fenced

    # --- heartbeat ---

    def _loop(self) -> None:
        renewed, said = time.monotonic(), ""
        while not self._stopping.wait(min(LONGEST_BEAT, self._seconds / 4)):
            try:
                with self._database.transaction() as work:
                    self.state = work.leases.renew(self.run_id, self._fence, self._seconds)
            except Conflict:
                self._lost.set()
                return
            except Unavailable as error:
                # As long as it is away we write nothing either; the next renewal shows whether somebody took over.
                if str(error) != said:
                    log.warning("the lease can't be renewed", run_id=self.run_id, reason=str(error))
                said = str(error)
                continue
            gap = time.monotonic() - renewed
            if said and gap >= WORTH_TELLING:
                self.gaps.append(f"the lease could not be renewed for {gap:.0f} s ({said}); the run goes on")
            renewed, said = time.monotonic(), ""

    def release(self) -> None:
        """Let others have the run; a lease that was lost stays with its new holder."""
        self._stopping.set()
        self._thread.join()
        try:
            with self._database.transaction() as work:
                work.leases.release(self.run_id, self._fence)
        except Unavailable as error:
            log.warning("the lease was not released, it will run out", run_id=self.run_id, reason=str(error))
