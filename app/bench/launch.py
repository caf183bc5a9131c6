"""Launching a run as it is in operation, over the configured broker, with a producer and workers that are measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.bench.processes import Measured
from app.bootstrap import Bundle
from app.domain.errors import Conflict, InvalidInput, Problem, Unavailable, YeeterError
from app.domain.run import Run, RunState
from app.ports import Broker
from app.runs.control import request_cancel
from app.runs.start import RunRequest, add_run, prepare_run, template_of
from app.util.child_programs import END_WITH_INPUT

POLL = 0.1  # seconds between two looks at the processes
DEPTH_POLL = 0.5  # seconds between two questions to the broker
QUIET_SECONDS = 10.0  # for consumers of the run before to go
START_SECONDS = 60.0  # for workers to take jobs
CANCEL_SECONDS = 60.0  # for the producer of a run that is given up to end it

Pool = Sequence[Measured]
_ALONE = "let them end, or measure in a virtual host of its own"


@dataclass(frozen=True, slots=True)
class WorkerShape:
    """So many worker processes; how many messages each holds, and how many jobs it runs side by side."""

    workers: int
    prefetch: int
    concurrency: int

    @property
    def environment(self) -> dict[str, str]:
        return {
            "YEETER_WORKER_PREFETCH": str(self.prefetch),
            "YEETER_WORKER_CONCURRENCY": str(self.concurrency),
            "YEETER_WORKER_HEALTH_PORT": "0",  # a fixed one would serve the first worker only
        }


def require_broker(bundle: Bundle) -> None:
    """Raises InvalidInput: none is configured."""
    if bundle.is_embedded:
        raise InvalidInput(Problem("RABBITMQ_URL", "launches are measured over a broker", "set it"))


class Launcher:
    """Launches runs of one request, whose destinations are filled in."""

    def __init__(
        self,
        bundle: Bundle,
        request: RunRequest,
        start_program: Callable[..., Measured] = Measured,
        quiet_seconds: float = QUIET_SECONDS,
    ) -> None:
        """``quiet_seconds``: how long the consumers of a run before are waited for."""
        self.database = bundle.database
        self._bundle = bundle
        self._request = request
        self._start_program = start_program
        self._quiet_seconds = quiet_seconds

    def prepare(self, template: str | dict[str, Any], orders: int) -> Run:
        """A run that is not written yet. Raises InvalidInput, NotFound: none can be made of that."""
        request = replace(self._request, template=template, orders=orders)
        now = datetime.now()  # noqa: DTZ005 - the department's local time
        return prepare_run(self.database, self._bundle.types, request, now)

    def queues(self, run: Run) -> list[str]:
        return list(template_of(run).queues(self._bundle.settings.rabbitmq_order_queue))

    def depth(self, run: Run) -> int:
        """Jobs of the run's queues that no worker holds."""
        return sum(self._bundle.broker.depth(queue).ready for queue in self.queues(run))

    @contextmanager
    def workers(self, run: Run, shape: WorkerShape, *, expect_jobs: bool = False) -> Iterator[Pool]:
        """Workers of the run's queues, which all take jobs; ``expect_jobs``: those that wait there are the run's.

        Raises:
            Conflict: somebody else uses these queues.
            Unavailable: a worker ended, or the broker is away.
        """
        queues, broker = self.queues(run), self._bundle.broker
        broker.declare(queues)
        _await_no_consumers(broker, queues, self._quiet_seconds)
        if not expect_jobs:
            _check_empty(broker, queues)
        arguments = ("--queues", ",".join(queues), END_WITH_INPUT)
        with ExitStack() as stack:
            pool = [
                stack.enter_context(self._start_program("app.worker", *arguments, environment=shape.environment))
                for _ in range(shape.workers)
            ]
            _await_consumers(broker, queues, pool)
            yield pool

    @contextmanager
    def producer(self, run: Run, environment: dict[str, str] | None = None) -> Iterator[Measured]:
        """Write a prepared run, and start its producer.

        A run that is left while it goes on is cancelled, so that no producer of others takes it up.
        """
        add_run(self.database, run)
        with self._start_program("app.producer", run.id, environment=environment) as producer:
            try:
                yield producer
            except BaseException:
                self._give_up(run, producer)
                raise

    def ended(self, run: Run) -> Run:
        """The run as it ended. Raises YeeterError when it did not, or has no summary."""
        with self.database.transaction() as work:
            ended = work.runs.get(run.id)
        if not ended.state.is_terminal or ended.summary is None:
            raise YeeterError(f"run {run.run_key} is {ended.state}: {ended.reason or 'see its events'}")
        return ended

    def _give_up(self, run: Run, producer: Measured) -> None:
        try:
            request_cancel(self.database, run.id)
        except (Conflict, Unavailable):  # it has ended; or nobody can be told now
            return
        end = time.monotonic() + CANCEL_SECONDS
        while not producer.has_ended and time.monotonic() < end:
            time.sleep(POLL)


def watch(producer: Measured, pool: Pool = (), look: Callable[[], None] = lambda: None) -> None:
    """Look at the processes until the producer has ended, and ``look`` as well now and then.

    Raises:
        YeeterError: every worker has ended.
    """
    next_look = 0.0
    while not producer.has_ended:
        for process in (producer, *pool):
            process.look()
        if pool and all(worker.has_ended for worker in pool):
            raise YeeterError("the workers ended before the run did; see what they said")
        if time.monotonic() >= next_look:
            look()
            next_look = time.monotonic() + DEPTH_POLL
        time.sleep(POLL)
    for worker in pool:
        worker.look()


def problem_of(run: Run) -> str:
    """What is wrong with how a measured run ended; empty when its figures count."""
    missing = (run.summary or {}).get("reconciliation", {}).get("missing", 0)
    problems = []
    if run.state is not RunState.COMPLETED:
        problems.append(f"it ended {run.state}" + (f" ({run.reason})" if run.reason else ""))
    if missing:
        problems.append(f"{missing} missing")
    return ", ".join(problems)


def _await_no_consumers(broker: Broker, queues: Sequence[str], seconds: float) -> None:
    """Workers of others would do part of the work; those of the run before are gone within a moment."""
    end = time.monotonic() + seconds
    while busy := [queue for queue in queues if broker.depth(queue).consumers]:
        if time.monotonic() > end:
            raise Conflict(f"other workers take jobs from {', '.join(busy)}: {_ALONE}")
        time.sleep(POLL)


def _check_empty(broker: Broker, queues: Sequence[str]) -> None:
    for queue in queues:
        if waiting := broker.depth(queue).ready:
            raise Conflict(f"{waiting} jobs of other runs wait in {queue}: {_ALONE}")


def _await_consumers(broker: Broker, queues: Sequence[str], pool: Pool) -> None:
    end = time.monotonic() + START_SECONDS
    while min(broker.depth(queue).consumers for queue in queues) < len(pool):
        if any(worker.has_ended for worker in pool):
            raise Unavailable("a worker ended instead of taking jobs; see what it said")
        if time.monotonic() > end:
            raise Unavailable(f"the workers take no jobs after {START_SECONDS:g} s")
        time.sleep(POLL)
