"""What a worker has on its desk: jobs claimed, jobs run, and how many of each; its threads meet here."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence

from app.domain.job import Job
from app.domain.records import record
from app.domain.work import Claim, ClaimRequest, JobFinish
from app.ports import Delivery


@record(frozen=True, slots=True)
class Claimed:
    """A job that is ours to run, with the message that it came by; ``at`` this time (``time.monotonic()`` seconds)."""

    delivery: Delivery
    job: Job
    request: ClaimRequest
    claim: Claim
    at: float


@record(frozen=True, slots=True)
class Done:
    """A job that was run, and is to be written before its message is acknowledged."""

    claimed: Claimed
    finish: JobFinish


class Desk:
    """Thread-safe. ``stopping``: take no more jobs. ``abandoned``: what is not written by now stays so."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.abandoned = threading.Event()
        self._ready: queue.SimpleQueue[Claimed | None] = queue.SimpleQueue()
        self._turn = threading.Lock()  # guards all below
        self._changed = threading.Condition(self._turn)  # there is room, or everything is written
        self._arrived = threading.Condition(self._turn)  # enough is done
        self._to_run = 0  # claimed, and not yet run to the end
        self._low = 0  # somebody waits until no more than so many are
        self._done: list[Done] = []
        self._enough = 1  # somebody waits until so many are done
        self._is_closed = False
        self._held: dict[tuple[str, str], Claimed] = {}  # claimed, and not yet written and acknowledged

    @property
    def to_run(self) -> int:
        return self._to_run

    @property
    def to_write(self) -> int:
        return len(self._held)

    @property
    def held(self) -> list[Claimed]:
        """What is claimed, and not yet written."""
        with self._turn:
            return list(self._held.values())

    # --- from the taker to the hands ---

    def stop(self) -> None:
        self.stopping.set()
        with self._turn:
            self._changed.notify_all()

    def wait_for_room(self, low: int, capacity: int) -> int:
        """How many more may be claimed, once no more than ``low`` are left to run; 0 when the worker stops."""
        with self._turn:
            self._low = low
            self._changed.wait_for(lambda: self._to_run <= low or self.stopping.is_set())
            return 0 if self.stopping.is_set() else capacity - self._to_run

    def put(self, claimed: Sequence[Claimed]) -> None:
        with self._turn:
            self._to_run += len(claimed)
            self._held.update((_key(each), each) for each in claimed)
        for each in claimed:
            self._ready.put(each)

    def next(self) -> Claimed | None:
        """Waits for a job to run; None: no more will come."""
        return self._ready.get()

    def clear(self) -> list[Claimed]:
        """Take back what nobody has begun."""
        unbegun: list[Claimed] = []
        with contextlib.suppress(queue.Empty):
            while claimed := self._ready.get_nowait():
                unbegun.append(claimed)
        return unbegun

    def remove(self, unbegun: Sequence[Claimed]) -> None:
        """These are somebody else's now."""
        with self._turn:
            self._leave_to_run(len(unbegun))
            self._forget(unbegun)

    # --- from the hands to the finisher ---

    def put_done(self, claimed: Claimed, finish: JobFinish) -> None:
        with self._turn:
            if not self._is_closed:
                self._done.append(Done(claimed, finish))
            self._leave_to_run(1)

    def take_done(self, most: int, seconds: float, more_may_come: Callable[[], bool]) -> list[Done]:
        """Jobs that were run, once there is one: so many at most; empty when no more will come.

        They are gathered for so many seconds, unless no more may come; who tells that may not ask for ``held``.
        """
        with self._turn:
            while not self._done and not self._is_closed:
                self._wait_for_done(1)
            until = time.monotonic() + seconds
            while len(self._done) < most and not self._is_closed and more_may_come():
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._wait_for_done(most, left)
            taken, self._done = self._done[:most], self._done[most:]
            return taken

    def written(self, group: Sequence[Done]) -> None:
        with self._turn:
            self._forget([done.claimed for done in group])

    def wait_until_written(self, timeout: float) -> bool:
        with self._turn:
            return self._changed.wait_for(lambda: not self._held, timeout)

    def close(self, hands: int) -> None:
        """Tell the finisher, and so many hands, that no more will come."""
        self.abandoned.set()
        with self._turn:
            self._is_closed = True
            self._arrived.notify()
        for _ in range(hands):
            self._ready.put(None)

    # --- with our turn; nobody is woken for each job ---

    def _wait_for_done(self, enough: int, timeout: float | None = None) -> None:
        """Until so many are done, none is left to be run, or the time is over."""
        self._enough = enough
        self._arrived.wait(timeout)

    def _leave_to_run(self, jobs: int) -> None:
        """So many fewer are to be run."""
        self._to_run -= jobs
        if len(self._done) >= self._enough or not self._to_run:
            self._arrived.notify()
        if self._to_run <= self._low:
            self._changed.notify_all()

    def _forget(self, claimed: Sequence[Claimed]) -> None:
        for each in claimed:
            self._held.pop(_key(each), None)
        if not self._held:
            self._changed.notify_all()


def _key(claimed: Claimed) -> tuple[str, str]:
    """Of a claim: a job may be claimed again while the desk still has what came of an earlier one."""
    return claimed.job.id, claimed.claim.fence
