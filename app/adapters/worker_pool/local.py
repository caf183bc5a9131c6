"""Worker pools that are processes of this machine; and leadership by a lock on a file of it."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

import structlog

from app.domain.errors import Conflict, Unavailable
from app.domain.scaling import PoolPolicy, PoolSize
from app.ports import SeenPool
from app.util.child_programs import ChildPrograms

log = structlog.get_logger()

STOP_SECONDS = 10.0  # beyond the workers' own grace period

StartWorker = Callable[[Sequence[str]], subprocess.Popen[bytes]]


def start_worker(environment: dict[str, str]) -> StartWorker:
    """Starts ``python -m app.worker``; such a worker drains when the autoscaler ends, however that ends."""
    # Any port for /healthz: a fixed one would serve the first worker only.
    programs = ChildPrograms(environment | {"YEETER_WORKER_HEALTH_PORT": "0"})
    return lambda queues: programs.start("app.worker", "--queues", ",".join(queues))


class _Pool:
    def __init__(self) -> None:
        self.replicas = 0
        self.version = 0
        self.running: list[subprocess.Popen[bytes]] = []
        self.leaving: list[subprocess.Popen[bytes]] = []  # draining: they finish what they have begun


class LocalPools:
    """Used by one thread. Workers that end by themselves are replaced at the next look, as a Deployment would."""

    def __init__(self, start: StartWorker, grace: float) -> None:
        """``grace``: seconds that a worker takes for its running jobs, at most."""
        self._start = start
        self._grace = grace
        self._identity = uuid4().hex
        self._pools: dict[str, _Pool] = {}

    def look(self, policy: PoolPolicy) -> SeenPool:
        pool = self._pools.setdefault(policy.name, _Pool())
        pool.leaving = [process for process in pool.leaving if process.poll() is None]
        for process in [process for process in pool.running if process.poll() is not None]:
            log.warning("a worker ended by itself", pool=policy.name, code=process.returncode)
            pool.running.remove(process)
        self._fit(policy, pool)
        size = PoolSize(pool.replicas, len(pool.running) + len(pool.leaving))
        return SeenPool(size, self._identity, str(pool.version))

    def resize(self, policy: PoolPolicy, seen: SeenPool, replicas: int) -> None:
        pool = self._pools.setdefault(policy.name, _Pool())
        if seen.version != str(pool.version):
            raise Conflict(f"pool {policy.name} was resized meanwhile")
        pool.replicas = replicas
        pool.version += 1
        self._fit(policy, pool)

    def close(self) -> None:
        """Drain all workers, and end those that take longer than they may."""
        everyone = [process for pool in self._pools.values() for process in (*pool.running, *pool.leaving)]
        for process in everyone:
            process.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._grace + STOP_SECONDS
        for process in everyone:
            try:
                process.wait(max(end - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _fit(self, policy: PoolPolicy, pool: _Pool) -> None:
        try:
            while len(pool.running) < pool.replicas:
                pool.running.append(self._start(policy.queues))
        except OSError as error:
            raise Unavailable(f"a worker could not be started: {error}") from error
        while len(pool.running) > pool.replicas:
            process = pool.running.pop()
            process.send_signal(signal.SIGTERM)
            pool.leaving.append(process)


class FileLeadership:
    """Held until this process ends, or releases it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def hold(self) -> bool:
        if self._file is not None:
            return True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a")
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror} (YEETER_HOME must be writable)") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                fcntl.flock(self._file, fcntl.LOCK_UN)
            self._file.close()
            self._file = None
