"""A worker: takes jobs in groups, runs them side by side, finishes them in groups.

Three kinds of threads, joined by two queues:

    taker     receives deliveries and claims them in one transaction, a few more than there are hands
    hands     ``concurrency`` of them, each running one job after the other
    finisher  writes what the hands have done in one transaction, *then* acknowledges

A group is whatever has come together while the last one was being written, bounded in size and in delay. Nothing is
acknowledged before it is committed. Stopping: the taker ends first, and gives back what no hand has begun; then the
hands get the grace period; then the finisher writes what is there; what is still running goes back to the queue when
the subscription closes.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from dataclasses import dataclass, replace

import structlog

from app.domain.errors import NotFound, Unavailable
from app.domain.job import Job, decode_job
from app.domain.run import TERMINAL_RUN_STATES, RunState
from app.domain.work import Claim, ClaimRequest, JobFinish
from app.ports import Broker, Database, Delivery, StepSource, StudyStore, Subscription
from app.runs.execute import JobRunner
from app.util.threads import WatchedThread

log = structlog.get_logger()

AHEAD = 8  # jobs claimed for each hand, so that a claim's transaction serves several
FINISH_GROUP = 200
FINISH_DELAY = 0.02  # seconds a finished job may wait for its group
RECEIVE_PATIENCE = 0.25
RETRY = 1.0  # seconds after a database that could not be reached
STATE_AGE = 1.0  # seconds a run's state may be old when a step asks whether the run is cancelled


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    name: str
    queues: tuple[str, ...]
    concurrency: int
    prefetch: int
    job_lease: float


@dataclass(frozen=True, slots=True)
class _Claimed:
    delivery: Delivery
    job: Job
    request: ClaimRequest
    claim: Claim


@dataclass(frozen=True, slots=True)
class _Done:
    delivery: Delivery
    finish: JobFinish


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
    ) -> None:
        self._options = options
        self._broker = broker
        self._database = database
        self._studies = studies
        self._runner = JobRunner(steps.step, options.name, RunStates(database).is_cancelled)
        self._prefetch = max(options.prefetch, options.concurrency)  # fewer would leave hands idle
        self._capacity = min(self._prefetch, options.concurrency * AHEAD)
        self._ready: queue.SimpleQueue[_Claimed | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[_Done | None] = queue.SimpleQueue()
        self._changed = threading.Condition()  # guards the two counts
        self._claimed = 0  # claimed, and not yet run to the end
        self._unwritten = 0  # claimed, and not yet written and acknowledged
        self._stopping = threading.Event()
        self._abandoned = threading.Event()
        self._subscription: Subscription | None = None
        self._taker = WatchedThread(self._take, "taker")
        self._finisher = WatchedThread(self._finish, "finisher")
        self._hands = [WatchedThread(self._work, f"hand-{number}") for number in range(options.concurrency)]
        self._threads = (self._finisher, *self._hands, self._taker)
        self.jobs_done = 0

    # --- life ---

    def start(self) -> None:
        """Raises Unavailable when the broker can't be reached."""
        self._broker.declare(self._options.queues)
        self._subscription = self._broker.subscribe(self._options.queues, self._prefetch)
        for thread in self._threads:
            thread.start()

    def stop(self, grace: float) -> bool:
        """Stop taking, give running jobs ``grace`` seconds, write and acknowledge; True when nothing was left over."""
        until = time.monotonic() + grace
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._taker.join()
        self._give_back_unbegun()
        if any(thread.failure for thread in self._threads):
            until = 0.0  # what a dead thread had will never be done; it goes back to the queue
        with self._changed:
            whole = self._changed.wait_for(lambda: self._unwritten == 0, max(until - time.monotonic(), 0.0))
        self._abandoned.set()
        self._done.put(None)
        for _ in self._hands:
            self._ready.put(None)
        self._finisher.join(max(until - time.monotonic(), 1.0))
        if self._subscription is not None:
            self._subscription.close()
        return whole

    @property
    def is_alive(self) -> bool:
        return all(thread.is_alive() for thread in self._threads)

    def check(self) -> None:
        """Raises RuntimeError when one of its threads died, which is a defect."""
        for thread in self._threads:
            thread.check()

    @property
    def running(self) -> int:
        return self._unwritten

    # --- taking ---

    def _take(self) -> None:
        assert self._subscription is not None
        while room := self._wait_for_room():
            try:
                deliveries = self._subscription.receive(room, RECEIVE_PATIENCE)
            except Unavailable as error:
                log.warning("waiting for the broker", reason=str(error))
                self._stopping.wait(RETRY)
                continue
            if deliveries:
                self._begin(deliveries)

    def _wait_for_room(self) -> int:
        """How many more may be claimed, once the hands are about to run out of work; 0 when the worker stops."""
        low = min(self._options.concurrency, self._capacity - 1)
        with self._changed:
            self._changed.wait_for(lambda: self._claimed <= low or self._stopping.is_set())
            return 0 if self._stopping.is_set() else self._capacity - self._claimed

    def _begin(self, deliveries: list[Delivery]) -> None:
        jobs = self._decode(deliveries)
        for (delivery, job, request), claim in zip(jobs, self._claim(jobs), strict=True):
            if claim.granted:
                self._count(claimed=1, unwritten=1)
                self._ready.put(_Claimed(delivery, job, request, claim))
            else:
                log.info("not run", job=job.id, reason=claim.refusal, redelivered=request.redelivered)
                self._acknowledge([delivery])

    def _decode(self, deliveries: list[Delivery]) -> list[tuple[Delivery, Job, ClaimRequest]]:
        jobs = []
        for delivery in deliveries:
            try:
                job = decode_job(delivery.body)
            except ValueError as error:
                log.error("not a job, acknowledged and dropped", message_id=delivery.message_id, reason=str(error))
                self._acknowledge([delivery])
                continue
            indexes = tuple(entry.index for entry in job.own_steps)
            request = ClaimRequest(job.run_id, job.order_number, indexes, job.epoch, delivery.redelivered)
            jobs.append((delivery, job, request))
        return jobs

    def _claim(self, jobs: list[tuple[Delivery, Job, ClaimRequest]]) -> list[Claim]:
        """Waits for a database that is away; on a stop, nothing is ours and the messages go back."""
        requests = [request for _, _, request in jobs]
        while jobs:
            try:
                with self._database.transaction() as work:
                    return work.jobs.claim(requests, self._options.name, self._options.job_lease)
            except Unavailable as error:
                log.warning("waiting for the database", reason=str(error))
                # The commit may have been done and its answer lost: what we have claimed must be ours to claim again.
                requests = [replace(request, redelivered=True) for request in requests]
                if self._stopping.wait(RETRY):
                    self._give_back([delivery for delivery, _, _ in jobs])
                    jobs.clear()
        return []

    def _give_back_unbegun(self) -> None:
        unbegun: list[_Claimed] = []
        with contextlib.suppress(queue.Empty):
            while claimed := self._ready.get_nowait():
                unbegun.append(claimed)
        if not unbegun:
            return
        try:
            with self._database.transaction() as work:
                work.jobs.give_up([(claimed.request, claimed.claim) for claimed in unbegun])
        except Unavailable as error:
            # Their messages come again marked as redelivered, and such a job can be claimed again.
            log.warning("claims not given up", reason=str(error))
        self._give_back([claimed.delivery for claimed in unbegun])
        self._count(claimed=-len(unbegun), unwritten=-len(unbegun))

    # --- running ---

    def _work(self) -> None:
        while claimed := self._ready.get():
            finish = self._runner.run(claimed.job, claimed.claim)
            self._done.put(_Done(claimed.delivery, finish))
            self._count(claimed=-1)

    # --- finishing ---

    def _finish(self) -> None:
        ending = False
        while not ending:
            group, ending = self._group()
            if group:
                self._write(group)

    def _group(self) -> tuple[list[_Done], bool]:
        """What the hands have done: up to 200 jobs, gathered for 20 ms unless nothing more can come."""
        done = self._done.get()
        group: list[_Done] = []
        until = time.monotonic() + FINISH_DELAY
        while done is not None:
            group.append(done)
            patience = until - time.monotonic() if self._claimed else 0.0
            if len(group) >= FINISH_GROUP:
                return group, False
            try:
                done = self._done.get(timeout=max(patience, 0.0))
            except queue.Empty:
                return group, False
        return group, True

    def _write(self, group: list[_Done]) -> None:
        while True:
            try:
                with self._database.transaction() as work:
                    kept = work.jobs.finish([done.finish for done in group])
                break
            except Unavailable as error:
                log.warning("waiting for the database", reason=str(error))
                if self._abandoned.wait(RETRY):
                    return
        for done, ours in zip(group, kept, strict=True):
            if not ours:
                log.warning("finished too late, another worker has the job", job=done.delivery.message_id)
            elif done.finish.order_state is not None:
                self._studies.remove(done.finish.run_id, done.finish.order_number)
        self._acknowledge([done.delivery for done in group])
        self.jobs_done += len(group)
        self._count(unwritten=-len(group))

    def _count(self, claimed: int = 0, unwritten: int = 0) -> None:
        with self._changed:
            self._claimed += claimed
            self._unwritten += unwritten
            self._changed.notify_all()

    def _acknowledge(self, deliveries: list[Delivery]) -> None:
        assert self._subscription is not None
        try:
            self._subscription.acknowledge(deliveries)
        except Unavailable as error:
            log.warning("not acknowledged, will be delivered again", reason=str(error))

    def _give_back(self, deliveries: list[Delivery]) -> None:
        assert self._subscription is not None
        try:
            self._subscription.give_back(deliveries)
        except Unavailable as error:
            log.warning("not given back, will be delivered again", reason=str(error))
