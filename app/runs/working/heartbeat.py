"""The worker's heartbeat: tells the database of itself every few seconds, for people and for the autoscaler."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import structlog

from app.domain.errors import Unavailable
from app.ports import Database, WorkerBeat

log = structlog.get_logger()

EVERY = 5.0  # seconds
WINDOW = 30.0  # seconds that "of late" means
CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # of a container, as cgroup v2 has it: microseconds of each period, or "max"

Figures = Callable[[], tuple[int, int, bool]]


class Heartbeat:
    """``figures``: jobs that run, jobs done so far, and whether the worker is draining."""

    def __init__(
        self,
        name: str,
        queues: tuple[str, ...],
        concurrency: int,
        figures: Figures,
        database: Database,
        every: float = EVERY,
    ) -> None:
        self._name = name
        self._queues = queues
        self._concurrency = concurrency
        self._figures = figures
        self._database = database
        self._every = every
        self._stopping = threading.Event()
        self._samples: deque[tuple[float, int, float]] = deque()  # moment, jobs done, CPU seconds
        self._cpus = cpu_limit()

    def work(self) -> None:
        """Until it is stopped; the last word is that the worker is gone."""
        self._sample(0)
        while not self._stopping.wait(self._every):
            self._say(self._beat())
        try:
            with self._database.transaction() as work:
                work.workers.remove(self._name)
        except Unavailable as error:  # it will be held to be gone in some seconds
            log.warning("not signed off", reason=str(error))

    def stop(self) -> None:
        self._stopping.set()

    def _say(self, beat: WorkerBeat) -> None:
        try:
            with self._database.transaction() as work:
                work.workers.beat(beat)
        except Unavailable as error:
            log.warning("no heartbeat", reason=str(error))

    def _beat(self) -> WorkerBeat:
        running, done, draining = self._figures()
        self._sample(done)
        (begun, done_then, cpu_then), (now, done_now, cpu_now) = self._samples[0], self._samples[-1]
        seconds = max(now - begun, 1e-9)
        return WorkerBeat(
            name=self._name,
            queues=self._queues,
            concurrency=self._concurrency,
            running=running,
            jobs_done=done,
            jobs_per_second=round((done_now - done_then) / seconds, 3),
            cpu=round((cpu_now - cpu_then) / seconds / self._cpus, 3),
            draining=draining,
        )

    def _sample(self, done: int) -> None:
        now = time.monotonic()
        times = os.times()
        cpu = times.user + times.system + times.children_user + times.children_system
        self._samples.append((now, done, cpu))
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW:
            self._samples.popleft()


def cpu_limit(path: Path = CPU_LIMIT) -> float:
    """How many CPUs this process may use."""
    cpus = float(os.cpu_count() or 1)
    try:
        quota, period = path.read_text().split()
        return min(int(quota) / int(period), cpus)
    except (OSError, ValueError):  # no container, or one without a limit
        return cpus
