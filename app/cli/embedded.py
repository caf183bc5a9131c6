"""A run in this process, with its own receivers, queue and workers unless others are configured."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from contextlib import suppress
from datetime import datetime

from app.bootstrap import Bundle
from app.cli.attend import attend
from app.cli.display import RunFigures, run_display
from app.cli.output import note
from app.cli.worker_processes import WorkerProcesses
from app.domain.errors import InvalidInput, NotFound, Problem, Unavailable, YeeterError
from app.domain.run import Run
from app.producer.session import run_session
from app.runs.give_up import give_up
from app.runs.preflight import require_destinations
from app.runs.produce import request_cancel
from app.runs.start import RunRequest, add_run, prepare_run, template_of
from app.runs.summary import SummaryFold
from app.settings import Settings
from app.util.logs import configure_logs

IDLE_SECONDS = 5.0  # without a worker, before we say so


def run_embedded(bundle: Bundle, request: RunRequest, workers: int | None, connections: int | None) -> Run:
    """Start the run, show its progress, and return it as it ended.

    ``workers``: with a broker, worker processes that start and end with the run; otherwise jobs side by side.

    Raises:
        InvalidInput: the request can't be run here.
        Conflict: its run key is taken.
        Unavailable: a service is away.
    """
    run = _add_run(bundle, request)
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
        self._fold: SummaryFold | None = None
        self._end: Future[Run] = Future()
        self._cancelling = False
        self._look_for_workers_at = time.monotonic() + IDLE_SECONDS

    def start(self, workers: int | None, connections: int | None) -> None:
        threading.Thread(target=self._work, args=(workers, connections), name="session", daemon=True).start()

    def result(self) -> Run:
        """The run as it ended. Raises what its session raised."""
        return self._end.result()

    def wait(self, seconds: float) -> bool:
        self._processes.report_ended()
        self._report_idle()
        wait_for([self._end], seconds)
        return self._end.done()

    def cancel(self) -> None:
        self._cancelling = True
        request_cancel(self._bundle.database, self._run.id)

    def figures(self) -> RunFigures:
        fold = self._fold or SummaryFold()
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
        if not fold.orders["emitted"]:
            return "starting"
        if fold.orders["emitted"] < self._run.requested:
            return "sending orders"
        return "waiting on workers" if fold.ended < self._run.requested else "reconciling"

    def _work(self, workers: int | None, connections: int | None) -> None:
        try:
            self._end.set_result(run_session(self._bundle, self._run, workers, self._watch, connections))
        except BaseException as error:
            self._give_up(str(error) if isinstance(error, YeeterError) else f"defect: {error!r}")
            self._end.set_exception(error)

    def _watch(self, fold: SummaryFold) -> None:
        self._fold = fold

    def _give_up(self, reason: str) -> None:
        """Nobody else will run it: it must not stay as it is. Another producer that holds it goes on."""
        with suppress(YeeterError):
            give_up(self._bundle.database, self._run.id, reason, self._bundle.settings.lease_seconds)

    def _report_idle(self) -> None:
        """Say once that jobs wait and nobody consumes them: a broker is configured, and no worker runs."""
        if self._bundle.is_embedded or self._fold is None or time.monotonic() < self._look_for_workers_at:
            return
        self._look_for_workers_at = float("inf")
        with suppress(Unavailable):  # its own log lines tell
            for queue in self._queues:
                if not self._bundle.broker.depth(queue).consumers:
                    note(f"no worker takes jobs from {queue}: start `yeeter worker --queues {queue}`", style="yellow")
