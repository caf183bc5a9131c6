"""A job that ends its worker, over a real broker: dead at its fifth start, and nobody goes with it."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.domain.event import TERMINAL_ORDER_KINDS
from app.domain.run import RunState
from tests.runs.conftest import QUEUE, World
from tests.runs.dangerous_steps import dangerous, environment, starts
from tests.runs.faults import Producing
from tests.runs.test_worker_retries import letters
from tests.services.processes import Program, wait_until

KILLER, ORDERS = 3, 12


class Supervised:
    """A worker that is started anew whenever it ends; ``ends`` has the code of each end."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self.ends: list[int] = []
        self._log = log
        self._environment = environment
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._supervise, daemon=True)

    def __enter__(self) -> Supervised:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join(60)

    def _supervise(self) -> None:
        while not self._stopping.is_set():
            command = [sys.executable, "-m", "app.worker", "--queues", QUEUE]
            with Program(command, self._log, self._environment) as worker:
                while worker.running and not self._stopping.wait(0.1):
                    pass
                if not worker.running:
                    self.ends.append(worker.wait())


@pytest.mark.timeout(600)
def test_a_job_that_ends_its_worker_takes_nobody_along(
    world: World, tmp_path: Path, amqp_url: str, record_property: Callable[[str, object], None]
) -> None:
    log, database = tmp_path / "starts", f"sqlite:///{tmp_path / 'yeeter.db'}"
    with ExitStack() as stack:
        broker = RabbitMqBroker(amqp_url)
        stack.callback(broker.close)
        broker.declare([QUEUE])
        world = replace(world, broker=broker, inline=InProcessBroker())  # type: ignore[arg-type]
        run = world.start(orders=ORDERS, steps=dangerous(log, killing=[KILLER]))
        producing = Producing(world, run)
        wait_until(lambda: broker.depth(QUEUE).ready == ORDERS, 60, "the jobs are published")
        own = environment(tmp_path, DATABASE_URL=database, RABBITMQ_URL=amqp_url, YEETER_WORKER_CONCURRENCY="2")
        supervised = stack.enter_context(Supervised(tmp_path / "worker.log", own))
        wait_until(lambda: producing.is_over, 500, "the run ends")
    ended = producing.wait()
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    assert supervised.ends == [-9, -9]
    record_property("workers_ended", len(supervised.ends))
    record_property("starts_of_the_killer", len(starts(log)[KILLER]))
    record_property("innocents_dead", sum(letter.order_number != KILLER for letter in letters(world)))
    [letter] = letters(world)
    assert (letter.kind, letter.order_number) == ("crashed", KILLER)
    assert world.database.queries.order(run.id, KILLER)[1][1].starts == 5
    assert len(starts(log)[KILLER]) == 5
    ends = Counter((event.event.order_number, event.event.kind) for event in world.events(run, *TERMINAL_ORDER_KINDS))
    innocents = [number for number in range(ORDERS) if number != KILLER]
    assert ends == {(KILLER, "order.failed"): 1} | {(number, "order.completed"): 1 for number in innocents}
    finished = Counter(
        event.event.order_number
        for event in world.events(run, "job.finished")
        if event.event.data["outcome"] == "succeeded"
    )
    assert finished == dict.fromkeys(innocents, 1)
