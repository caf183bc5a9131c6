"""The programs of a run: workers and producer, kept alive as a deployment would, and killed and frozen as planned."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from app.runs.producing.exits import ProducerExit
from tests.chaos.department import Department
from tests.chaos.preloaded import Child, Preloaded
from tests.chaos.rows import RunRows
from tests.services.processes import wait_until

TICK = 0.05
WORTH_A_KILL = 10  # orders that have ended since the last one
KILL_ANYWAY = 5.0  # seconds, when nothing ends
TAKEOVER_LOOK = 0.5  # seconds between two looks for a run that nobody runs
TAKEOVER_SECONDS = 15.0  # that a new producer has to take the lease, before another one tries
STOP_SECONDS = 60.0
PATIENCE = 120.0
AT_WORK = "working"  # what a worker says when it begins to take jobs


@dataclass(slots=True)
class Member:
    """A program of ours. ``spared``: not to be killed at random; ``retired``: was asked to end.

    ``unready``: was asked to end before it was at work; nobody may have been there yet to heed the signal.
    """

    child: Child
    started: float
    killed: bool = False
    spared: bool = False
    retired: bool = False
    unready: bool = False


class _Killing:
    """When the next worker is to be killed: every so often, if something was done since the last time.

    On an idle machine that is always so. On a busy one, workers that hardly start would be killed, and nothing proved.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._at = time.monotonic()
        self._ended = 0

    def is_due(self, ended: Callable[[], int]) -> bool:
        seconds = time.monotonic() - self._at
        if not self._every or seconds < self._every:
            return False
        now = ended()
        if now < self._ended + WORTH_A_KILL and seconds < KILL_ANYWAY:
            return False
        self._at, self._ended = time.monotonic(), max(now, self._ended)
        return True


class Crew:
    """A context manager; while it is open, whoever ends is replaced."""

    def __init__(self, department: Department, preloaded: Preloaded, run_id: str, rows: RunRows) -> None:
        self._department = department
        self._preloaded = preloaded
        self._run_id = run_id
        self._rows = rows
        self._draw = random.Random(department.plan.seed)
        self._lock = threading.RLock()
        self._workers: list[Member] = []
        self._producers: list[Member] = []  # all there ever were; the last one is the present one
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="crew", daemon=True)
        self.complaints: list[str] = []  # programs that ended as they should not
        self.kills = 0  # of workers, at random

    def __enter__(self) -> Self:
        self._workers = [self._new_worker(number) for number in range(self._department.plan.workers)]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        for member in (*self._workers, *self._producers):
            member.child.kill()

    @property
    def logs(self) -> list[Path]:
        return sorted({member.child.log for member in (*self._workers, *self._producers)})

    # --- faults ---

    def freeze_worker(self) -> Member:
        with self._lock:
            return self._freeze(self._draw.choice([worker for worker in self._workers if worker.child.running]))

    def freeze_producers(self) -> list[Member]:
        """Whoever runs, one of whom holds the run: the youngest need not, while one before it is frozen or was so."""
        self.wait_for_holder()
        with self._lock:
            return [self._freeze(producer) for producer in self._producers if producer.child.running]

    def kill_producers(self) -> None:
        """Whoever runs, as for freezing."""
        self.wait_for_holder()
        with self._lock:
            for producer in self._producers:
                if producer.child.running:
                    self._kill(producer)

    def retire_worker(self) -> float:
        """SIGTERM to the one that has worked longest, which must end in good order; the seconds it took to end.

        Raises:
            TimeoutError: nobody is at work, or it does not end.
        """
        wait_until(lambda: bool(self._at_work()), PATIENCE, "a worker that is at work")
        with self._lock:
            member = min(self._at_work(), key=lambda worker: worker.started)
            member.retired = True
            begun = time.monotonic()
            member.child.signal(signal.SIGTERM)
        member.child.wait(PATIENCE)
        return time.monotonic() - begun

    def wait_for_workers(self) -> None:
        """Until all of them are at work."""
        wait_until(lambda: len(self._at_work()) == len(self._workers), PATIENCE, "workers that are at work")

    @property
    def pids(self) -> dict[str, list[int]]:
        """Of everybody who runs."""
        parts = {"workers": self._workers, "producers": self._producers}
        return {name: [each.child.pid for each in members if each.child.running] for name, members in parts.items()}

    def _at_work(self) -> list[Member]:
        return [
            worker
            for worker in self._workers
            if worker.child.running and not worker.retired and AT_WORK in worker.child.output
        ]

    def thaw(self, member: Member) -> None:
        member.child.signal(signal.SIGCONT)
        member.spared = False

    def wait_for_holder(self, besides: str = "", seconds: float = PATIENCE) -> str:
        """The fence of the producer that holds the run, once that is another one than ``besides``."""
        wait_until(lambda: self._rows.holder() not in ("", besides), seconds, "a producer that takes the run over")
        return self._rows.holder()

    # --- the end ---

    def stop(self) -> None:
        """Nobody is replaced any more; workers end in good order, and every producer must end by itself."""
        self._stopping.set()
        self._thread.join()
        for worker in self._workers:
            worker.unready = AT_WORK not in worker.child.output
            worker.child.signal(signal.SIGTERM)
        for member in (*self._workers, *self._producers):
            try:
                member.child.wait(STOP_SECONDS)
            except TimeoutError:
                self.complaints.append(f"still running after the run's end, and after SIGTERM: {_tail(member.child)}")
        self._judge(self._workers, {0, *self._worker_deaths})
        # One that began while broker or database was away leaves the run to the next one.
        self._judge(self._producers, {ProducerExit.ENDED, ProducerExit.OVERTAKEN, ProducerExit.UNAVAILABLE})

    @property
    def _worker_deaths(self) -> set[int]:
        """How workers may end that we did not kill: killer jobs do."""
        return {-signal.SIGKILL} if self._department.plan.killers else set()

    def _judge(self, members: Iterable[Member], codes: set[int]) -> None:
        for member in members:
            allowed = {0} if member.retired else codes | ({-signal.SIGTERM} if member.unready else set())
            if not member.killed and member.child.code not in allowed:
                self.complaints.append(f"ended by itself with code {member.child.code}: {_tail(member.child)}")

    # --- keeping it alive ---

    def _watch(self) -> None:
        next_look = 0.0
        killing = _Killing(self._department.plan.kill_every)
        while not self._stopping.wait(TICK):
            with self._lock:
                self._replace_workers()
            if killing.is_due(self._rows.ended):
                with self._lock:
                    self._kill_some_worker()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + TAKEOVER_LOOK
                self._see_to_a_producer()

    def _replace_workers(self) -> None:
        for number, worker in enumerate(self._workers):
            if not worker.child.running:
                self._judge([worker], self._worker_deaths)
                self._workers[number] = self._new_worker(number)

    def _kill_some_worker(self) -> None:
        """One that is at work: on a busy machine, killing those that only just start would let nobody get anywhere."""
        targets = [worker for worker in self._at_work() if not worker.spared]
        if targets:
            self._kill(self._draw.choice(targets))
            self.kills += 1

    def _see_to_a_producer(self) -> None:
        """As a replica of the API does: a run whose lease nobody holds gets a new producer."""
        with self._lock:
            present = self._producers[-1] if self._producers else None
        is_young = present is not None and time.monotonic() < present.started + TAKEOVER_SECONDS
        if present is not None and present.child.running and not present.spared and is_young:
            return
        if self._rows.is_abandoned():
            child = self._start("producer", "app.producer", self._run_id)
            with self._lock:
                self._producers.append(Member(child, time.monotonic()))

    def _new_worker(self, number: int) -> Member:
        child = self._start(f"worker-{number}", "app.worker", "--queues", self._department.queue)
        return Member(child, time.monotonic())

    def _start(self, name: str, module: str, *arguments: str) -> Child:
        log = self._department.folder / f"{name}.log"
        return self._preloaded.start(log, self._department.environment, module, *arguments)

    @staticmethod
    def _freeze(member: Member) -> Member:
        member.spared = True
        member.child.signal(signal.SIGSTOP)
        return member

    @staticmethod
    def _kill(member: Member) -> None:
        member.killed = True
        member.child.kill()


def _tail(child: Child, lines: int = 15) -> str:
    """The end of what it has written."""
    return "\n".join([child.log.name, *child.output.splitlines()[-lines:]])
