"""Producers: one child process for each run that this server runs.

A server runs the runs that are started on it, and takes over those that nobody holds: of a producer that died, of
another replica, of its own last life. A run that makes a producer die each time is given up, with the reason. When the
server stops, each child leaves its run as it is (SIGTERM): another replica, or the next start, goes on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from anyio import to_thread

from app.domain.errors import Conflict, NotFound, Unavailable
from app.domain.event import RUN_LOAD, RUN_NOTE
from app.domain.run import Run, RunState
from app.ports import Database, EventFeed
from app.runs.producing.exits import ProducerExit
from app.runs.producing.give_up import give_up
from app.settings import Settings

log = structlog.get_logger()

MAX_PRODUCERS = 8  # side by side; further runs stay PENDING until it is their turn
STOP_GRACE = 30.0  # seconds for producers to leave their runs and end
MAX_DEATHS = 5  # of producers in a row, without the run getting anywhere
PAGE = 500  # events


def producer_command(run_id: str) -> list[str]:
    return [sys.executable, "-m", "app.producer", run_id]


@dataclass(frozen=True, slots=True)
class Pace:
    """In seconds."""

    look: float = 2.0  # between looks for runs that nobody holds
    unavailable: float = 5.0  # before the next producer, where the last one found a service away
    pending: float = 10.0  # that whoever added a run has to begin it


@dataclass(frozen=True, slots=True)
class Deaths:
    """How often in a row a run's producer died without the run getting anywhere, and where its events were then."""

    count: int
    cursor: str | None


class Producers:
    """Starts, watches and stops producers; used on the event loop only."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        command: Callable[[str], list[str]] = producer_command,
        pace: Pace = Pace(),
    ) -> None:
        self._settings = settings
        self._database = database
        self._command = command
        self._pace = pace
        self._slots = asyncio.Semaphore(MAX_PRODUCERS)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._deaths: dict[str, Deaths] = {}
        self._free_since: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self, run_id: str) -> None:
        """Start a producer as soon as there is a place for it; does nothing for a run that has one."""
        if run_id not in self._tasks:
            task = asyncio.create_task(self._supervise(run_id), name=f"producer-{run_id}")
            self._tasks[run_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(run_id, None))

    def look_after_runs(self) -> None:
        """From now on, take over the runs that nobody holds."""
        self._looking = asyncio.create_task(self._look(), name="free-runs")

    async def stop(self, grace: float = STOP_GRACE) -> None:
        """Ask every child to leave its run and end; what has not ended within ``grace`` seconds is left to itself."""
        self._stopping = True
        if self._looking is not None:
            self._looking.cancel()
        for run_id, process in self._processes.items():
            _ask_to_stop(run_id, process)
        tasks = dict(self._tasks)
        if tasks:
            await asyncio.wait(tasks.values(), timeout=grace)
        for run_id, process in self._processes.items():
            log.warning("a producer goes on without its server", run_id=run_id, pid=process.pid)
        for task in tasks.values():
            task.cancel()

    # --- runs that nobody holds ---

    async def _look(self) -> None:
        said = ""
        while True:
            try:
                self._take(await to_thread.run_sync(self._database.queries.runs_to_resume))
                said = ""
            except Unavailable as error:
                if str(error) != said:
                    log.warning("runs can't be looked after", reason=str(error))
                said = str(error)
            except Exception:  # a defect, which must not leave all runs to themselves
                log.exception("the look for runs that nobody holds failed")
            await asyncio.sleep(self._pace.look)

    def _take(self, free: list[Run]) -> None:
        now = time.monotonic()
        self._free_since = {run.id: self._free_since.get(run.id, now) for run in free}
        self._not_before = {run_id: moment for run_id, moment in self._not_before.items() if moment > now}
        for run in free:
            # One that has not begun may be just about to: whoever added it starts its producer.
            is_left = run.state is not RunState.PENDING or now - self._free_since[run.id] >= self._pace.pending
            if is_left and run.id not in self._tasks and run.id not in self._not_before:
                log.info("nobody runs it", run_id=run.id, run_key=run.run_key, state=run.state.value)
                self.start(run.id)

    # --- one run ---

    async def _supervise(self, run_id: str) -> None:
        async with self._slots:
            if self._stopping:
                return
            code = await self._run(run_id)
        if not self._stopping and code != ProducerExit.OVERTAKEN:
            await self._after(run_id, code)

    async def _run(self, run_id: str) -> int | None:
        """Run the child to its end; its exit code, None when it could not be started."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command(run_id),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # it logs to stderr, which is the server's
                start_new_session=True,  # Ctrl-C is for the server, which then asks its children to stop
                env=self._settings.as_environment(),
            )
        except OSError as error:
            log.error("a producer could not be started", run_id=run_id, reason=str(error))
            return None
        self._processes[run_id] = process
        log.info("producer started", run_id=run_id, pid=process.pid)
        if self._stopping:  # since we asked for the process
            _ask_to_stop(run_id, process)
        code = await process.wait()
        del self._processes[run_id]
        log.info("producer ended", run_id=run_id, pid=process.pid, exit_code=code)
        return code

    async def _after(self, run_id: str, code: int | None) -> None:
        """See whether the run has ended; if not, it is taken over when its lease has run out, or given up."""
        try:
            if await to_thread.run_sync(self._has_ended, run_id):
                self._deaths.pop(run_id, None)
            elif code == ProducerExit.UNAVAILABLE:
                self._not_before[run_id] = time.monotonic() + self._pace.unavailable
            elif code != ProducerExit.HANDED_OVER:
                await self._count_death(run_id, _ending(code))
        except Unavailable as error:
            log.warning("the run's state is not known", run_id=run_id, reason=str(error))

    def _has_ended(self, run_id: str) -> bool:
        try:
            with self._database.transaction() as work:
                return work.runs.get(run_id).state.is_terminal
        except NotFound:  # deleted since it ended
            return True

    async def _count_death(self, run_id: str, ending: str) -> None:
        deaths = await to_thread.run_sync(_count, self._database.feed, run_id, self._deaths.get(run_id))
        self._deaths[run_id] = deaths
        log.warning("a producer died, the run goes on", run_id=run_id, reason=ending, deaths_in_a_row=deaths.count)
        if deaths.count >= MAX_DEATHS:
            reason = f"its producer died {deaths.count} times in a row without getting anywhere: the last one {ending}"
            await self._give_up(run_id, reason)

    async def _give_up(self, run_id: str, reason: str) -> None:
        """A killed producer's lease has to run out first."""
        while not self._stopping:
            try:
                run = await to_thread.run_sync(give_up, self._database, run_id, reason, self._settings.lease_seconds)
            except Conflict:
                pass
            else:
                log.error("the run was given up", run_id=run_id, state=run.state.value, reason=run.reason)
                self._deaths.pop(run_id, None)
                return
            await asyncio.sleep(self._pace.look)


def _count(feed: EventFeed, run_id: str, before: Deaths | None) -> Deaths:
    """One more death; the first one in a row if anything but notes and figures was written since the last."""
    if before is None:
        return Deaths(1, feed.newest(run_id))
    cursor, got_somewhere = before.cursor, False
    while True:
        events, cursor = feed.read(run_id, cursor, PAGE)
        got_somewhere |= any(recorded.event.kind not in (RUN_NOTE, RUN_LOAD) for recorded in events)
        if len(events) < PAGE:
            return Deaths(1 if got_somewhere else before.count + 1, cursor)


def _ending(code: int | None) -> str:
    """How a producer ended, for people."""
    if code is None:
        return "could not be started"
    return f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}; the server's log says why"


def _ask_to_stop(run_id: str, process: asyncio.subprocess.Process) -> None:
    log.info("stopping a producer", run_id=run_id, pid=process.pid)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
