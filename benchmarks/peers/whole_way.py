"""``python -m benchmarks peers``: the whole way of ``metadata-only``, ours beside scripts and Celery.

Each order's message is acknowledged by the same receiver, and each order's one instance (10 KB) is stored at the same
storescp. A round of a slow peer has fewer orders; rates are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from app.cli.output import note
from app.domain.order import Order
from app.producer.receivers import BuiltInReceiver
from benchmarks.peers.archive import Archive, running_archives
from benchmarks.peers.bare import bare_workers, produce
from benchmarks.peers.on_celery import celery_worker, on_celery
from benchmarks.peers.orders import new_planner, planned_orders
from benchmarks.peers.scripts import plain_script, smartest_script
from benchmarks.peers.sending import PeerFailed
from benchmarks.peers.turns import OURS, Contender, compare
from tests.services.postgres import running_postgres
from tests.services.rabbitmq import running_rabbitmq

WORKERS = 2
SLOW = 60  # orders of a round of those that wait for each instance
STAGE = "whole way, metadata-only"

Script = Callable[[Sequence[Order], int, Archive, Path], None]


@dataclass(frozen=True)
class Hospital:
    """What everybody sends to, and what Yeeter and Celery need beside."""

    mllp_port: int
    archives: dict[bool, Archive]
    environment: dict[str, str]  # of Yeeter's programs
    folder: Path  # for logs


@contextmanager
def hospital() -> Iterator[Hospital]:
    """Services that end with the block, Celery's worker too."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="yeeter-peers-")))
        postgres = stack.enter_context(running_postgres())
        rabbitmq = stack.enter_context(running_rabbitmq(management=True))
        environment = {
            **os.environ,
            "DATABASE_URL": stack.enter_context(postgres.new_database()),
            "RABBITMQ_URL": rabbitmq.url(stack.enter_context(rabbitmq.new_virtual_host())),
            "YEETER_HOME": str(folder / "home"),
        }
        broker_url = rabbitmq.url(stack.enter_context(rabbitmq.new_virtual_host()))
        mllp = stack.enter_context(BuiltInReceiver("mllp"))
        archives = dict(stack.enter_context(running_archives()))
        stack.enter_context(celery_worker(broker_url, folder))
        yield Hospital(mllp.port, archives, environment, folder)


def contenders(place: Hospital, orders: int) -> Iterator[Contender]:
    """Ours and the peers, at the archive as installed and at the one with TCP_NODELAY."""
    few = min(orders, SLOW)
    for no_delay, archive in place.archives.items():
        many = orders if no_delay else few  # 40 ms an instance are nothing to wait for a thousand times
        named = partial(Contender, STAGE, archive.settings)
        yield named(f"{OURS} ({WORKERS} workers)", partial(ours, place, archive, orders))
        yield named(
            f"{OURS} without guarantees ({WORKERS} workers)", partial(without_guarantees, place, archive, orders)
        )
        yield named("plain script", partial(of_script, plain_script, place, archive, few))
        yield named("smartest script", partial(of_script, smartest_script, place, archive, many))
        yield named("Celery (2 processes)", partial(of_celery, place, archive, few))


def ours(place: Hospital, archive: Archive, orders: int) -> float:
    """Orders a second of ``yeeter bench matrix``. Raises PeerFailed: the run did not end whole."""
    archive.empty()
    options = {"--orders": orders, "--workers": WORKERS, "--hl7": f"127.0.0.1:{place.mllp_port}"}
    typed = [str(part) for pair in (options | {"--pacs": archive.address}).items() for part in pair]
    command = [sys.executable, "yeeter_cli.py", "bench", "matrix", "metadata-only", *typed, "--json"]
    done = subprocess.run(command, env=place.environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PeerFailed(f"yeeter bench matrix: {done.stderr}")
    _check(archive, orders)
    return float(json.loads(done.stdout)[0]["orders_per_second"])


def without_guarantees(place: Hospital, archive: Archive, orders: int) -> float:
    """Orders a second of ours without what makes it sure: from the first order planned to the last instance there."""
    archive.empty()
    queue = f"bare-{uuid4()}"  # of its own: the last jobs of a round may not be acknowledged when it ends
    with bare_workers(WORKERS, place.environment, queue, archive, place.folder):
        begun = time.perf_counter()
        produce(new_planner(), orders, place.mllp_port, place.environment, queue)
        archive.await_count(orders)
        seconds = time.perf_counter() - begun
    _check(archive, orders)
    return orders / seconds


def of_script(script: Script, place: Hospital, archive: Archive, orders: int) -> float:
    """Orders a second, from the first message to the last C-STORE."""
    with tempfile.TemporaryDirectory(prefix="yeeter-script-") as folder:
        return _rate(archive, orders, lambda planned: script(planned, place.mllp_port, archive, Path(folder)))


def of_celery(place: Hospital, archive: Archive, orders: int) -> float:
    """Orders a second, from the first task that is published to the last instance that has come."""
    return _rate(archive, orders, lambda planned: on_celery(planned, place.mllp_port, archive))


def _rate(archive: Archive, orders: int, send: Callable[[Sequence[Order]], None]) -> float:
    archive.empty()
    planned = planned_orders(orders)
    begun = time.perf_counter()
    send(planned)
    seconds = time.perf_counter() - begun
    _check(archive, orders)
    return orders / seconds


def _check(archive: Archive, orders: int) -> None:
    if (there := archive.count()) != orders:
        raise PeerFailed(f"{there} of {orders} instances are at {archive.settings}")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks peers", description=__doc__)
    made.add_argument("--orders", type=int, default=1000, help=f"of a round; at most {SLOW} for slow peers")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--json", action="store_true", help="whole rows, with the rate of each round")
    return made


def main(arguments: Sequence[str]) -> int:
    options = parser().parse_args(arguments)
    with hospital() as place:
        compare([*contenders(place, options.orders)], options.rounds, note, options.json)
    return 0
