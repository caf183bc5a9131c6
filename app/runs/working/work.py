"""A worker: takes jobs in groups, runs them side by side, finishes them in groups.

Threads, which meet at the desk (``app.runs.working.desk``):

    taker        receives deliveries and claims them in one transaction, more than there are hands; those that were
                 delivered before only for free hands
    hands        ``concurrency`` of them, each running one job after the other; suspicious ones in a child process
    keeper       prolongs the leases of what is claimed
    heartbeat    tells the database of this worker every few seconds
    watchdog     finishes the jobs of steps that ignore their time limits, and replaces their hands
    finisher     writes what the hands have done in one transaction, *then* acknowledges
    dead-queue   has what the broker gave up published again, or kept as a dead letter

A group is whatever comes together within a moment (``app.runs.working.gathering``), bounded in size by how many jobs
the worker holds (``app.runs.working.reach``). Nothing is acknowledged before it is committed. Stopping: the taker ends
first, and gives back what no hand has begun; then the hands get the grace period; then the finisher writes what is
there; what is still running goes back to the queue when the subscription closes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.domain.errors import NotFound, Unavailable
from app.domain.run import TERMINAL_RUN_STATES, RunState
from app.ports import Broker, Database, JobObserver, StepSource, StudyStore, Tracing
from app.runs.working.dead_queue import DeadQueue
from app.runs.working.desk import Claimed, Desk
from app.runs.working.execute import JobRunner
from app.runs.working.finisher import Finisher
from app.runs.working.hands import Hands, Running
from app.runs.working.heartbeat import Heartbeat
from app.runs.working.inbox import Inbox
from app.runs.working.isolation import Isolation
from app.runs.working.keeper import Keeper
from app.runs.working.rate import RateGate
from app.runs.working.reach import Reach
from app.runs.working.spans import TracedSteps, traced
from app.runs.working.taker import ClaimTerms, Taker
from app.util.threads import WatchedThread

STATE_AGE = 1.0  # seconds a run's state may be old when a step asks whether the run is cancelled


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    name: str
    queues: tuple[str, ...]
    concurrency: int
    prefetch: int
    job_lease: float
    step_grace: float = 5.0  # seconds beyond its time limit before a step is given up


class RunStates:
    """The states of runs, at most a second old: cheap enough to ask between any two steps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[RunState, float]] = {}

    def is_cancelled(self, run_id: str) -> bool:
        state, at = self._known.get(run_id, (None, 0.0))
        if state is None or time.monotonic() - at > STATE_AGE:
            try:
                with self._database.transaction() as work:
                    state = work.runs.get(run_id).state
            except Unavailable:
                return False
            except NotFound:  # deleted: nobody wants its steps
                return True
            self._known = {key: value for key, value in self._known.items() if value[0] not in TERMINAL_RUN_STATES}
            self._known[run_id] = (state, time.monotonic())
        return state is RunState.CANCELLING or state in TERMINAL_RUN_STATES


class Worker:
    """Takes and runs jobs from ``start`` to ``stop``."""

    def __init__(
        self,
        options: WorkerOptions,
        broker: Broker,
        database: Database,
        steps: StepSource,
        studies: StudyStore,
        isolation: Isolation,
        observers: Iterable[JobObserver] = (),
        tracing: Tracing | None = None,
    ) -> None:
        self.is_started = False
        self._options = options
        self._tracing = tracing
        steps = steps if tracing is None else TracedSteps(steps, tracing)
        self._broker = broker
        reach = Reach(options.concurrency, options.prefetch)
        terms = ClaimTerms(options.name, options.job_lease, options.concurrency)
        self._desk = desk = Desk()
        self._inbox = Inbox(broker, options.queues, reach.holds)
        self._dead_queue = DeadQueue(broker, desk, database, options.name)
        self._isolation = isolation
        gate = RateGate(database, desk.stopping.is_set)
        self._runner = JobRunner(steps, options.name, RunStates(database).is_cancelled, gate.permission)
        self._taker = Taker(terms, self._inbox, desk, database, steps, reach)
        self._keeper = Keeper(desk, database, options.job_lease)
        self._finisher = Finisher(options.name, self._inbox, desk, database, studies, reach, observers)
        self._hands = Hands(
            options.concurrency,
            options.name,
            desk,
            self._begin,
            self._taker.give_back,
            isolation.end_idle,
            options.step_grace,
        )
        self._heartbeat = Heartbeat(options.name, options.queues, options.concurrency, self._figures, database)
        self._taking = WatchedThread(self._taker.work, "taker")
        self._finishing = WatchedThread(self._finisher.work, "finisher")
        self._emptying = WatchedThread(self._dead_queue.work, "dead-queue")
        self._keeping = WatchedThread(self._keeper.work, "keeper")
        self._beating = WatchedThread(self._heartbeat.work, "heartbeat")

    def _begin(self, claimed: Claimed) -> Running | None:
        if not self._keeper.owns(claimed):
            self._taker.drop(claimed)
            return None
        running = self._running(claimed)
        return running if self._tracing is None else traced(running, claimed, self._tracing)

    def _running(self, claimed: Claimed) -> Running:
        if self._isolation.wants(claimed.claim) and claimed.claim.refusal is None:
            return self._isolation.begin(self._runner, claimed.job, claimed.claim)
        return self._runner.begin(claimed.job, claimed.claim)

    # --- life ---

    def start(self) -> None:
        """Safe to repeat when it raised Unavailable: the broker can't be reached."""
        self._broker.declare(self._options.queues)
        self._inbox.open()
        self._dead_queue.open()
        self._hands.start()
        for thread in (self._finishing, self._taking, self._emptying, self._keeping, self._beating):
            thread.start()
        self.is_started = True

    def stop(self, grace: float) -> bool:
        """Stop taking, give running jobs ``grace`` seconds, write and acknowledge; True when nothing was left over."""
        until = time.monotonic() + grace
        self._desk.stop()
        self._taking.join()
        self._emptying.join()
        self._taker.give_back(self._desk.clear())
        if any(thread.failure for thread in self._threads()):
            until = 0.0  # what a dead thread had will never be done; it goes back to the queue
        whole = self._desk.wait_until_written(max(until - time.monotonic(), 0.0))
        self._hands.close()
        self._finishing.join(max(until - time.monotonic(), 1.0))
        self._keeping.join(1.0)
        self._heartbeat.stop()
        self._beating.join(1.0)
        self._isolation.close()
        self._inbox.close()
        self._dead_queue.close()
        return whole

    def _threads(self) -> Iterator[WatchedThread]:
        yield from (self._finishing, *self._hands.threads, self._taking, self._emptying, self._keeping, self._beating)

    @property
    def is_alive(self) -> bool:
        """Also one that has not been started."""
        return not self.trouble and (not self.is_started or all(thread.is_alive() for thread in self._threads()))

    @property
    def trouble(self) -> str:
        """Why it can't go on, where that is no defect of its own; empty while it can."""
        return self._hands.trouble

    def check(self) -> None:
        """Raises RuntimeError when a thread of its own died, which is a defect, or hanging steps took all its hands."""
        for thread in self._threads():
            thread.check()
        if self.trouble:
            raise RuntimeError(self.trouble)

    # --- figures ---

    @property
    def concurrency(self) -> int:
        """Jobs that it runs side by side."""
        return self._options.concurrency

    @property
    def is_connected(self) -> bool:
        """Whether the broker brings it jobs."""
        return self._inbox.is_consuming

    def _figures(self) -> tuple[int, int, bool]:
        return self.running, self.jobs_done, self._desk.stopping.is_set()

    @property
    def running(self) -> int:
        """Jobs that are claimed, and not yet written."""
        return self._desk.to_write

    @property
    def jobs_done(self) -> int:
        return self._finisher.jobs_done

    @property
    def jobs_isolated(self) -> int:
        """Of those, run in a process of their own."""
        return self._isolation.jobs

    @property
    def hands_lost(self) -> int:
        """Threads whose steps ignored their time limits, and still run."""
        return self._hands.left_behind
