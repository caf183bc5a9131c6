"""Running a suspicious job in a process of its own, so that it takes nobody along when it ends that.

A job is suspicious when two starts of it were never heard of again: it may have ended its worker, or only have been
there when another job did. Such jobs run in a child process (``app.worker.isolated``), one at a time. A child is kept
for a moment for the next one of them, because most are innocent and a child has to connect to everything first. A job
that has ended a process before gets one to itself, which nobody uses after it.

Parent and child exchange a line of JSON each way for each job; before the first one the child says that it is ready.
What a job may use of memory is for the machine, or the container, to limit: the child is then what the kernel ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from pydantic import TypeAdapter, ValidationError

from app.domain.destination import DicomDestination
from app.domain.errors import TransportFault
from app.domain.job import Job
from app.domain.retry import LOST_STARTS_TO_ISOLATE, MAX_LOST_STARTS
from app.domain.work import Claim, Death, JobFinish
from app.runs.working.consequences import Again, after_crash, text_of, what_follows
from app.runs.working.endings import Endings, Failure, Progress, head_position
from app.runs.working.execute import RATED, DidNotEnd, JobRunner
from app.util.answering_process import AnsweringProcess, ProcessEnded, ProcessTooSlow

log = structlog.get_logger()

StartChild = Callable[[], AnsweringProcess]

READY = b"ready\n"
START_SECONDS = 60.0  # that a child may take until it is ready
GRACE = 5.0
IDLE_SECONDS = 10.0  # that a child is kept for the next job


@dataclass(frozen=True, slots=True)
class Request:
    """What a child is asked to do, and in whose name."""

    job: Job
    claim: Claim
    worker: str


REQUESTS = TypeAdapter(Request)
ANSWERS = TypeAdapter(JobFinish)


class Isolation:
    """The child processes of a worker. Thread-safe.

    ``start`` starts one, and may raise OSError; ``grace``: seconds beyond the time limits of a job's steps.
    """

    def __init__(self, start: StartChild, grace: float = GRACE) -> None:
        self._start = start
        self.grace = grace
        self._lock = threading.Lock()
        self._idle: list[tuple[AnsweringProcess, float]] = []  # since when
        self._busy: set[AnsweringProcess] = set()
        self.jobs = 0  # run so

    @staticmethod
    def wants(claim: Claim) -> bool:
        return claim.lost_starts >= LOST_STARTS_TO_ISOLATE or claim.crashes > 0

    def begin(self, runner: JobRunner, job: Job, claim: Claim) -> IsolatedRun:
        return IsolatedRun(self, runner, job, claim)

    def answer(self, request: Request, seconds: float) -> JobFinish:
        """What a child says to it.

        Raises:
            TransportFault: no child could be started, which is not the job's fault.
            ProcessEnded, ProcessTooSlow: as they say; the child is gone.
        """
        own = request.claim.crashes > 0
        child = self._child(own)
        answered = False
        try:
            finish = ANSWERS.validate_json(child.ask(REQUESTS.dump_json(request) + b"\n", seconds))
            answered = True
        except ValidationError as error:
            raise ProcessEnded(f"answered what is no outcome: {error}") from error
        finally:
            self._put_back(child, keep=answered and not own)
        with self._lock:
            self.jobs += 1
        return finish

    def end_idle(self) -> None:
        """End the children that nobody has used for a while."""
        now = time.monotonic()
        with self._lock:
            old = [child for child, since in self._idle if now - since > IDLE_SECONDS]
            self._idle = [(child, since) for child, since in self._idle if child not in old]
        for child in old:
            child.kill()

    def close(self) -> None:
        """End every child."""
        with self._lock:
            idle, self._idle = self._idle, []
            for child in self._busy:
                child.interrupt()
        for child, _ in idle:
            child.kill()

    def _child(self, own: bool) -> AnsweringProcess:
        child = None if own else self._kept()
        if child is None:
            child = self._started()
        with self._lock:
            self._busy.add(child)
        return child

    def _kept(self) -> AnsweringProcess | None:
        with self._lock:
            while self._idle:
                child, _ = self._idle.pop()
                if child.is_usable:
                    return child
        return None

    def _started(self) -> AnsweringProcess:
        try:
            child = self._start()
            if child.receive(START_SECONDS) != READY:
                child.kill()
                raise ProcessEnded("said something else than that it is ready")
        except (OSError, ProcessEnded, ProcessTooSlow) as error:
            raise TransportFault(f"a process of its own could not be started: {error}") from error
        return child

    def _put_back(self, child: AnsweringProcess, *, keep: bool) -> None:
        with self._lock:
            self._busy.discard(child)
            if keep and child.is_usable:
                self._idle.append((child, time.monotonic()))
                return
        child.kill()


class IsolatedRun:
    """One claimed job, run by a child. Its time limit ends the child, so nobody else ever ends the job."""

    def __init__(self, isolation: Isolation, runner: JobRunner, job: Job, claim: Claim) -> None:
        self._isolation = isolation
        self._runner = runner
        self._job = job
        self._claim = claim
        self._first = head_position(job, claim)
        self._endings = Endings(job, claim, runner.worker)
        self._begun = time.monotonic()

    def settle(self) -> bool:
        return True

    def overdue(self, grace: float) -> JobFinish | None:
        return None

    def run(self) -> JobFinish | None:
        """How it ended; None when the worker stops before it was begun."""
        claim = self._claim
        if claim.lost_starts >= MAX_LOST_STARTS:
            reason = f"it was started {claim.lost_starts} times, and each time its worker ended before it did"
            return self._ended(reason, "Lost", Death("undeliverable", reason))
        if not self._permitted():
            is_cancelled = self._runner.is_cancelled(self._job.run_id)
            return self._endings.cancelled(Progress(), self._first) if is_cancelled else None
        log.warning("run in a process of its own", job=self._job.id, lost=claim.lost_starts, crashes=claim.crashes)
        limit = sum(entry.timeout for entry in self._job.own_steps[self._first :])
        try:
            return self._isolation.answer(Request(self._job, claim, self._runner.worker), limit + self._isolation.grace)
        except ProcessEnded as error:
            reason = f"its process {error}"
            return self._ended(reason, "Crash", after_crash(reason, claim.crashes))
        except ProcessTooSlow:
            return self._failed(DidNotEnd(limit))
        except TransportFault as error:
            return self._failed(error)

    def _permitted(self) -> bool:
        """Asked for here, because the child's waiting would count into its time limit."""
        if not any(entry.type == RATED for entry in self._job.own_steps[self._first :]):
            return True
        try:
            destination = DicomDestination.model_validate(self._job.dicom)
        except ValidationError:  # the child says so
            return True
        return self._runner.permission(destination, lambda: self._runner.is_cancelled(self._job.run_id))

    def _failed(self, error: Exception) -> JobFinish:
        policy, claim = self._job.slip[self._first].retry, self._claim
        follows = what_follows(error, policy, claim.attempts, claim.waited_seconds)
        return self._ended(text_of(error), type(error).__name__, follows)

    def _ended(self, text: str, kind: str, follows: Again | Death) -> JobFinish:
        if isinstance(follows, Death):
            log.error("job is dead", job=self._job.id, kind=follows.kind, reason=follows.reason)
        failure = Failure(text, kind, time.monotonic() - self._begun)
        return self._endings.failed(Progress(), self._first, failure, follows)
