"""Celery's worker as a program, and orders handed to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.domain.order import Order
from benchmarks.peers.archive import Archive
from benchmarks.peers.department import BROKER_VARIABLE, department, examine
from benchmarks.peers.sending import PeerFailed
from tests.services.processes import Program, wait_until

PROCESSES = 2
_ALONE = ("--without-gossip", "--without-mingle", "--without-heartbeat")


@contextmanager
def celery_worker(broker_url: str, folder: Path) -> Iterator[None]:
    """A worker of two processes that takes jobs; the broker becomes the one that tasks are published to, too.

    Raises:
        PeerFailed: instances were waited for in vain; with what the worker said.
    """
    department.conf.broker_url = broker_url
    module = "benchmarks.peers.department"
    command = [sys.executable, "-m", "celery", "--app", module, "worker", "--concurrency", str(PROCESSES), *_ALONE]
    environment = {**os.environ, BROKER_VARIABLE: broker_url}
    with Program(command, folder / "celery.log", environment) as worker:
        wait_until(lambda: bool(department.control.ping(timeout=1)), 60, "Celery's worker")
        try:
            yield
        except TimeoutError as error:
            raise PeerFailed(f"{error}\n{worker.output}") from error


def on_celery(orders: Sequence[Order], mllp_port: int, archive: Archive) -> None:
    """Publish a task an order, and wait for all instances. Raises TimeoutError: they do not come."""
    before = archive.count()
    for order in orders:
        contexts = order.patient_context, order.order_context
        examine.delay(contexts, mllp_port, archive.aet, archive.port, archive.no_delay)
    archive.await_count(before + len(orders))
