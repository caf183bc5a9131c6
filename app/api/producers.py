"""Producers: one child process for each run that this server has started.

A producer must not outlive its server unseen: when the server stops, each child is asked to stop (SIGTERM), which
cancels its run cleanly. A child that ends before its run has ended leaves a run that nobody runs: its waiting orders
are cancelled and it is set to FAILED, with the reason, under the lease, so never while another producer holds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys

import structlog
from anyio import to_thread

from app.domain.errors import Conflict, NotFound, Unavailable
from app.ports import Database
from app.runs.give_up import give_up
from app.settings import Settings

log = structlog.get_logger()

MAX_PRODUCERS = 8  # side by side; further runs stay PENDING until it is their turn
STOP_GRACE = 30.0  # seconds for producers to cancel their runs and end
RETRY = 0.5


class Producers:
    """Starts, watches and stops producers; used on the event loop only."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._slots = asyncio.Semaphore(MAX_PRODUCERS)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = False

    def start(self, run_id: str) -> None:
        """Start a producer as soon as there is a place for it; does nothing for a run that has one."""
        if run_id not in self._tasks:
            task = asyncio.create_task(self._supervise(run_id), name=f"producer-{run_id}")
            self._tasks[run_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(run_id, None))

    def has(self, run_id: str) -> bool:
        """Whether the run has a producer here, or waits for one."""
        return run_id in self._tasks

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Ask every child to cancel its run and end; what has not ended within ``grace`` seconds is left to itself."""
        self._stopping = True
        for run_id, process in self._processes.items():
            _ask_to_stop(run_id, process)
        tasks = dict(self._tasks)
        if tasks:
            await asyncio.wait(tasks.values(), timeout=grace)
        for run_id, process in self._processes.items():
            log.warning("a producer goes on without its server", run_id=run_id, pid=process.pid)
        for task in tasks.values():
            task.cancel()

    async def _supervise(self, run_id: str) -> None:
        async with self._slots:
            ending = await self._run(run_id) if not self._stopping else "was not started: the server stopped"
        await self._settle(run_id, f"its producer {ending}")

    async def _run(self, run_id: str) -> str:
        """Run the child to its end; how it ended, for people."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "app.producer",
                run_id,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # it logs to stderr, which is the server's
                start_new_session=True,  # Ctrl-C is for the server, which then asks its children to stop
                env=self._settings.as_environment(),
            )
        except OSError as error:
            return f"could not be started: {error}"
        self._processes[run_id] = process
        log.info("producer started", run_id=run_id, pid=process.pid)
        if self._stopping:  # since we asked for the process
            _ask_to_stop(run_id, process)
        code = await process.wait()
        del self._processes[run_id]
        log.info("producer ended", run_id=run_id, pid=process.pid, exit_code=code)
        if code < 0:
            return f"was ended by signal {-code}"
        return f"ended early (exit code {code}); the server's log says why"

    async def _settle(self, run_id: str, reason: str) -> None:
        """See that the run has ended; a killed producer's lease has to run out first."""
        tries = round(2 * self._settings.lease_seconds / RETRY)
        while tries:
            try:
                run = await to_thread.run_sync(give_up, self._database, run_id, reason, self._settings.lease_seconds)
            except NotFound:  # deleted since it ended
                return
            except Conflict:
                tries -= 1
            except Unavailable as error:
                log.warning("the run's end waits for the database", run_id=run_id, reason=str(error))
            else:
                log.info("the run has ended", run_id=run_id, state=run.state.value, reason=run.reason)
                return
            await asyncio.sleep(RETRY)
        log.warning("another producer holds the run", run_id=run_id)


def _ask_to_stop(run_id: str, process: asyncio.subprocess.Process) -> None:
    log.info("stopping a producer", run_id=run_id, pid=process.pid)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
