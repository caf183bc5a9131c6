"""The worker's hands: threads that run one job after the other, and one that watches them.

A step that ignores its time limit can't be ended from outside: its thread is left behind, its job is finished in its
place, and a new hand is put to work. Such threads pile up, so a worker that has left behind as many as it has hands is
at its end, and says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from app.domain.work import JobFinish
from app.runs.working.desk import Claimed, Desk
from app.runs.working.endings import Endings
from app.util.threads import WatchedThread

log = structlog.get_logger()

LOOK = 0.25  # seconds between two looks at the hands
LATE_LOOK = 1.0  # beyond that: this process was frozen, and its steps with it


class Running(Protocol):
    """A job that a hand is at. Who calls ``settle`` first decides how it ended."""

    def run(self) -> JobFinish | None: ...

    def settle(self) -> bool: ...

    def overdue(self, grace: float) -> JobFinish | None: ...


class _Hand:
    def __init__(self, name: str, work: Callable[[_Hand], None]) -> None:
        self.at: tuple[Claimed, Running] | None = None
        self.thread = WatchedThread(lambda: work(self), name)


class Hands:
    """The threads that work.

    Args:
        begin: makes a claimed job's run; None when there is nothing to run.
        give_back: returns a job that was not begun.
        tidy: is called now and then.
        grace: seconds beyond its time limit before a step is given up.
    """

    def __init__(
        self,
        count: int,
        worker: str,
        desk: Desk,
        begin: Callable[[Claimed], Running | None],
        give_back: Callable[[Sequence[Claimed]], None],
        tidy: Callable[[], None],
        grace: float,
    ) -> None:
        self._worker = worker
        self._desk = desk
        self._begin = begin
        self._give_back = give_back
        self._tidy = tidy
        self._grace = grace
        self._hands = [_Hand(f"hand-{number}", self._work) for number in range(count)]
        self._left_behind: list[WatchedThread] = []
        self._watch = WatchedThread(self._look_after, "watchdog")
        self._closing = threading.Event()

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    @property
    def threads(self) -> list[WatchedThread]:
        return [*(hand.thread for hand in self._hands), self._watch]

    @property
    def left_behind(self) -> int:
        """Threads whose steps still have not ended."""
        return sum(thread.is_alive() for thread in self._left_behind)

    @property
    def trouble(self) -> str:
        """Why the worker is at its end; empty while it is not."""
        hanging = self.left_behind
        if hanging < len(self._hands):
            return ""
        return f"{hanging} steps ignored their time limits and still run: this worker has to be started anew"

    def close(self) -> None:
        self._closing.set()
        self._desk.close(len(self._hands))

    def _work(self, hand: _Hand) -> None:
        while claimed := self._desk.next():
            running = self._begin(claimed)
            if running is None:
                continue
            hand.at = claimed, running
            finish = self._finish_of(claimed, running)
            if not running.settle():
                return  # left behind: the job was finished in our place, and another hand stands here
            hand.at = None
            if finish is None:
                self._give_back([claimed])
            else:
                self._desk.put_done(claimed, finish)

    def _finish_of(self, claimed: Claimed, running: Running) -> JobFinish | None:
        try:
            return running.run()
        except Exception as error:  # a job that is not what it seems must not take its hand along
            log.error("a job could not be run, it is dead", job=claimed.job.id, reason=repr(error))
            return Endings(claimed.job, claimed.claim, self._worker).defect(error)

    def _look_after(self) -> None:
        not_before = before = time.monotonic()
        while not self._closing.wait(LOOK):
            now = time.monotonic()
            if now - before > LOOK + LATE_LOOK:
                not_before = now + self._grace
            before = now
            if now >= not_before:
                self._end_overdue()
            self._tidy()

    def _end_overdue(self) -> None:
        for place, hand in enumerate(self._hands):
            if hand.at is None:
                continue
            claimed, running = hand.at
            finish = running.overdue(self._grace)
            if finish is None or not running.settle():
                continue
            log.error("a step ignores its time limit", job=claimed.job.id, thread=hand.thread.name)
            self._desk.put_done(claimed, finish)
            self._left_behind.append(hand.thread)
            successor = _Hand(hand.thread.name, self._work)
            successor.thread.start()
            self._hands[place] = successor
