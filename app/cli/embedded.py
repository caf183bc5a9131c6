"""A run in this process, with its own receivers, queue and workers unless others are configured."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from datetime import datetime
from queue import SimpleQueue

from app.bootstrap import Bundle
from app.cli.attend import attend
from app.cli.display import RunFigures, run_display
from app.cli.output import note
from app.cli.worker_processes import WorkerProcesses
from app.domain.errors import Conflict, InvalidInput, NotFound, Problem, Unavailable, YeeterError
from app.domain.run import Run, RunState
from app.ports import Database
from app.producer.session import run_session
from app.runs.control import request_cancel, request_resume
from app.runs.producing.give_up import give_up
from app.runs.producing.preflight import require_destinations
from app.runs.producing.produce import Producer
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold
from app.runs.reading.summary import SummaryFold
from app.runs.start import RunRequest, add_run, prepare_run, template_of
from app.settings import Settings
from app.util.logs import configure_logs

IDLE_SECONDS = 5.0  # without a worker, before we say so
LEASE_POLL = 0.4
TELL_AFTER = 1.0  # seconds; who renews a lease does so more often


def run_embedded(bundle: Bundle, request: RunRequest, workers: int | None, connections: int | None) -> Run:
    """Start the run, show its progress, and return it as it ended.

    ``workers``: with a broker, worker processes that start and end with the run; otherwise jobs side by side.

    Raises:
        InvalidInput: the request can't be run here.
        Conflict: its run key is taken.
        Unavailable: a service is away.
    """
    interrupted = _interrupted(bundle)
    run = _add_run(bundle, request)
    if interrupted:
        keys = ", ".join(each.run_key for each in interrupted)
        note(f"interrupted: {keys}; `yeeter runs resume {interrupted[0].run_key}` goes on with it", style="yellow")
    return _work_on(bundle, run, workers, connections)


def resume_embedded(bundle: Bundle, name: str, workers: int | None) -> Run | None:
    """Have a run go on: in its process where that lives (then None), otherwise in this one; the run as it ended.

    Raises:
        NotFound: there is no such run.
        Conflict: it has ended, or it is not paused and somebody runs it.
        Unavailable: a service is away.
    """
    with bundle.database.transaction() as work:
        run = work.runs.get(name)
    if run.state.is_terminal:
        raise Conflict(f"run {run.run_key} has ended: it is {run.state}")
    was_paused = run.state is RunState.PAUSED
    if was_paused:
        run = request_resume(bundle.database, run.id)
    if not wait_until_free(bundle.database, run.id):
        if was_paused:
            return None
        raise Conflict(f"run {run.run_key} is {run.state}, and another process runs it")
    return _work_on(bundle, run, workers, None)


def _work_on(bundle: Bundle, run: Run, workers: int | None, connections: int | None) -> Run:
    queues = template_of(run).queues(bundle.settings.rabbitmq_order_queue)
    children = 0 if bundle.is_embedded else workers or 0
    with WorkerProcesses(children, queues, bundle.settings.worker_grace) as processes, run_display() as display:
        # Here, because the live display takes over stderr.
        configure_logs(_log_level(bundle.settings), bundle.settings.log_format)
        note(f"run {run.run_key}: {run.requested} orders of {run.template_name}, seed {run.seed}")
        session = Session(bundle, run, queues, processes)
        session.start(workers if bundle.is_embedded else None, connections)
        attend(session, display, processes.kill)
    return session.result()


def wait_until_free(database: Database, run_id: str, tell_after: float = TELL_AFTER) -> bool:
    """Wait until nobody holds the run: the lease of a process that died runs out. False: its process lives."""
    with database.transaction() as work:
        before = work.leases.remaining(run_id)
    told_at = time.monotonic() + tell_after
    while before > 0:
        time.sleep(LEASE_POLL)
        with database.transaction() as work:
            remaining = work.leases.remaining(run_id)
        if remaining > before:  # somebody renews it
            return False
        if time.monotonic() >= told_at:
            note(f"waiting up to {remaining:.0f} s: the lease of the process that ran it has to run out")
            told_at = float("inf")
        before = remaining
    return True


def _interrupted(bundle: Bundle) -> list[Run]:
    """Runs that were begun, and that nobody runs now."""
    free = bundle.database.queries.runs_to_resume()
    return [run for run in free if run.state is not RunState.PENDING]


def _add_run(bundle: Bundle, request: RunRequest) -> Run:
    try:
        run = prepare_run(bundle.database, bundle.types, request, datetime.now().astimezone())
    except NotFound as error:
        raise InvalidInput(Problem("", str(error))) from error
    require_destinations(template_of(run), bundle.is_embedded)
    return add_run(bundle.database, run)


def _log_level(settings: Settings) -> str:
    """Warnings, which the display can bear, unless somebody asked for another level."""
    return settings.log_level if "log_level" in settings.model_fields_set else "warning"


class Session:
    """A run in a thread of its own, so that the main thread is free for signals."""

    def __init__(self, bundle: Bundle, run: Run, queues: Sequence[str], processes: WorkerProcesses) -> None:
        self._bundle = bundle
        self._run = run
        self._queues = queues
        self._processes = processes
        self._folds = Folds(ProgressFold(run.requested))
        self._notes: SimpleQueue[str] = SimpleQueue()
        self._end: Future[Run] = Future()
        self._cancelling = False
        self._look_for_workers_at = time.monotonic() + IDLE_SECONDS

    def start(self, workers: int | None, connections: int | None) -> None:
        threading.Thread(target=self._work, args=(workers, connections), name="session", daemon=True).start()

    def result(self) -> Run:
        """The run as it ended. Raises what its session raised."""
        self._report_notes()
        return self._end.result()

    def wait(self, seconds: float) -> bool:
        self._processes.report_ended()
        self._report_idle()
        self._report_notes()
        wait_for([self._end], seconds)
        return self._end.done()

    def cancel(self) -> None:
        self._cancelling = True
        request_cancel(self._bundle.database, self._run.id)

    def figures(self) -> RunFigures:
        fold = self._folds.summary
        return RunFigures(
            phase=self._phase(fold),
            requested=self._run.requested,
            emitted=fold.orders["emitted"],
            completed=fold.orders["completed"],
            failed=fold.orders["failed"],
            cancelled=fold.orders["cancelled"],
            queued=max(min(fold.jobs_outstanding, fold.orders["emitted"] - fold.ended), 0),  # not the cancelled ones
        )

    def _phase(self, fold: SummaryFold) -> str:
        if self._cancelling:
            return "cancelling"
        if self._folds.state is RunState.PAUSED:
            return "paused"
        if not fold.orders["emitted"]:
            return "starting"
        if fold.orders["emitted"] < self._run.requested:
            return "sending orders"
        return "waiting on workers" if fold.ended < self._run.requested else "reconciling"

    def _work(self, workers: int | None, connections: int | None) -> None:
        try:
            self._end.set_result(run_session(self._bundle, self._run, workers, self._watch, connections))
        except BaseException as error:
            if not isinstance(error, YeeterError):
                self._give_up(f"defect: {error!r}")
            elif self._folds.state is RunState.PENDING and self._run.state is RunState.PENDING:
                self._give_up(str(error))
            else:  # what kept it from going on may be over tomorrow
                self._notes.put(f"the run was interrupted: `yeeter runs resume {self._run.run_key}` goes on with it")
            self._end.set_exception(error)

    def _watch(self, producer: Producer) -> None:
        self._folds = producer.folds
        producer.on_note = self._notes.put

    def _give_up(self, reason: str) -> None:
        """Nobody else will run it: it must not stay as it is. Another producer that holds it goes on."""
        with suppress(YeeterError):
            give_up(self._bundle.database, self._run.id, reason, self._bundle.settings.lease_seconds)
            self._bundle.courier().tell_of(self._run.id, lambda: False, self._notes.put)

    def _report_notes(self) -> None:
        while not self._notes.empty():
            note(self._notes.get(), style="yellow")

    def _report_idle(self) -> None:
        """Say once that jobs wait and nobody consumes them: a broker is configured, and no worker runs."""
        if self._bundle.is_embedded or time.monotonic() < self._look_for_workers_at:
            return
        self._look_for_workers_at = float("inf")
        with suppress(Unavailable):  # its own log lines tell
            for queue in self._queues:
                if not self._bundle.broker.depth(queue).consumers:
                    note(f"no worker takes jobs from {queue}: start `yeeter worker --queues {queue}`", style="yellow")
