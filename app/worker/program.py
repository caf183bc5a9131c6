"""``yeeter worker``: takes jobs until it is told to stop; SIGTERM finishes or gives back within the grace period."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

import structlog

from app.bootstrap import bootstrap
from app.domain.errors import InvalidInput, Problem, Unavailable
from app.domain.template import DEFAULT_QUEUE
from app.runs.working.work import Worker
from app.settings import Settings
from app.util.answering_process import AnsweringProcess
from app.util.child_programs import wait_for_end_of_input
from app.util.fork_server import ForkServer
from app.util.status_server import serve_status
from app.worker.figures import WorkerFigures
from app.worker.health import health_routes
from app.worker.isolated import run_isolated
from app.worker.metrics import WorkerMetrics

log = structlog.get_logger()

RETRY = 2.0


def run_worker(settings: Settings, queues: Sequence[str] = (), *, end_with_input: bool = False) -> int:
    """Work until SIGTERM or SIGINT, or ``end_with_input`` until standard input ends; 0 when nothing was left over.

    1 when running jobs outlasted the grace period, or the worker could not go on and has to be started anew.

    Raises:
        InvalidInput: no broker is configured.
    """
    if not settings.broker_url:
        cure = "set it, or use `yeeter run`, which works on its jobs itself"
        raise InvalidInput(Problem("RABBITMQ_URL", "a worker needs a broker", cure))
    names = tuple(dict.fromkeys(_queue(name, settings) for name in queues or (DEFAULT_QUEUE,)))
    nursery = ForkServer(partial(run_isolated, settings))  # first of all: it can't be made once there are threads
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if end_with_input:
        threading.Thread(target=_stop_at_end_of_input, args=[stop], name="input", daemon=True).start()
    with closing(nursery), bootstrap(settings, lambda: AnsweringProcess(nursery.start())) as bundle:
        metrics, figures = WorkerMetrics(bundle.types.names), WorkerFigures()
        worker = bundle.worker(names, observers=(metrics, figures))
        metrics.watch(worker)
        routes = {**health_routes(worker), "/metrics": metrics.page}
        with serve_status(settings.worker_health_port, routes):
            # What the tables of another version refuse would be taken for a defect of the job: first the migration.
            if not (_await("database", bundle.database.check, stop) and _await("broker", worker.start, stop)):
                return 0
            log.info("working", queues=list(names), concurrency=settings.worker_concurrency)
            while not stop.wait(0.5) and worker.is_alive and nursery.is_alive:
                figures.tell_when_due()
            died = not stop.is_set()
            _say_why(worker, nursery)
            whole = worker.stop(settings.worker_grace)
    figures.tell()
    log.info("stopped", jobs=worker.jobs_done, left_over=not whole)
    if not whole:
        os._exit(1)  # a job that outlasted the grace period must not hold up the exit; its message goes back
    return 1 if died else 0


def _say_why(worker: Worker, nursery: ForkServer) -> None:
    """Why it can't go on, where it can't."""
    if not nursery.is_alive:
        log.error("can't go on", reason="the process that forks children for dangerous jobs has ended")
    if worker.trouble:
        log.error("can't go on", reason=worker.trouble)


def _stop_at_end_of_input(stop: threading.Event) -> None:
    wait_for_end_of_input()
    stop.set()


def _queue(name: str, settings: Settings) -> str:
    """As in templates, ``default`` is the server's own order queue."""
    return settings.rabbitmq_order_queue if name == DEFAULT_QUEUE else name


def _await(service: str, reach: Callable[[], object], stop: threading.Event) -> bool:
    """Until the service can be reached; False when somebody stops us before that."""
    while not stop.is_set():
        try:
            reach()
        except Unavailable as error:
            log.warning(f"waiting for the {service}", reason=str(error))
            stop.wait(RETRY)
        else:
            return True
    return False
