"""What a worker has on its desk: jobs claimed, jobs run, and how many of each; its threads meet here."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Sequence

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
        # No SimpleQueue: its get(timeout) waits for ever where a signal's handler outlasts the timeout.
        self._done: queue.Queue[Done | None] = queue.Queue()
        self._changed = threading.Condition()  # guards the two below
        self._to_run = 0  # claimed, and not yet run to the end
        self._low = 0  # somebody waits until no more than so many are
        self._held: dict[str, Claimed] = {}  # claimed, and not yet written and acknowledged; by their fences

    @property
    def to_run(self) -> int:
        return self._to_run

    @property
    def to_write(self) -> int:
        return len(self._held)

    @property
    def held(self) -> list[Claimed]:
        """What is claimed, and not yet written."""
        with self._changed:
            return list(self._held.values())

    # --- from the taker to the hands ---

    def stop(self) -> None:
        self.stopping.set()
        with self._changed:
            self._changed.notify_all()

    def wait_for_room(self, low: int, capacity: int) -> int:
        """How many more may be claimed, once no more than ``low`` are left to run; 0 when the worker stops."""
        with self._changed:
            self._low = low
            self._changed.wait_for(lambda: self._to_run <= low or self.stopping.is_set())
            return 0 if self.stopping.is_set() else capacity - self._to_run

    def put(self, claimed: Claimed) -> None:
        with self._changed:
            self._to_run += 1
            self._held[claimed.claim.fence] = claimed
        self._ready.put(claimed)

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
        self._forget(unbegun, to_run=len(unbegun))

    # --- from the hands to the finisher ---

    def put_done(self, claimed: Claimed, finish: JobFinish) -> None:
        self._done.put(Done(claimed, finish))
        self._forget((), to_run=1)

    def next_done(self, timeout: float | None = None) -> Done | None:
        """Waits for a job that was run; None: no more will come. Raises queue.Empty when the time is over."""
        return self._done.get(timeout=timeout)

    def written(self, group: Sequence[Done]) -> None:
        self._forget([done.claimed for done in group])

    def wait_until_written(self, timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, timeout)

    def close(self, hands: int) -> None:
        """Tell the finisher, and so many hands, that no more will come."""
        self.abandoned.set()
        self._done.put(None)
        for _ in range(hands):
            self._ready.put(None)

    def _forget(self, claimed: Iterable[Claimed], to_run: int = 0) -> None:
        with self._changed:
            self._to_run -= to_run
            for each in claimed:
                self._held.pop(each.claim.fence, None)
            if self._to_run <= self._low or not self._held:  # nobody is woken for each job
                self._changed.notify_all()
