"""``python -m app.worker``: what it takes from where, what it says of itself, and when it gives up."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.adapters.database import SqlDatabase
from app.domain.run import RunState
from tests.runs.conftest import QUEUE, World
from tests.runs.dangerous_steps import dangerous, environment
from tests.runs.faults import Producing
from tests.services.processes import Program, free_port, wait_until


@contextmanager
def working(home: Path, amqp_url: str, queues: str, **settings: str) -> Iterator[Program]:
    database = f"sqlite:///{home / 'yeeter.db'}"
    own = environment(home, DATABASE_URL=database, RABBITMQ_URL=amqp_url, **settings)
    with Program([sys.executable, "-m", "app.worker", "--queues", queues], home / "worker.log", own) as program:
        yield program


@pytest.fixture
def broker(amqp_url: str) -> Iterator[RabbitMqBroker]:
    broker = RabbitMqBroker(amqp_url)
    yield broker
    broker.close()


def test_default_stands_for_the_servers_own_queue(
    world: World, broker: RabbitMqBroker, tmp_path: Path, amqp_url: str
) -> None:
    port = free_port()
    settings = {"RABBITMQ_ORDER_QUEUE": "ours", "YEETER_WORKER_HEALTH_PORT": str(port)}
    with working(tmp_path, amqp_url, "default,other", **settings) as worker:
        worker.wait_for_line("working", 120)
        assert [broker.depth(name).consumers for name in ("ours", "other")] == [1, 1]
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            figures = json.load(answer)
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as answer:
            told = answer.read().decode()
        assert "yeeter_worker_alive 1.0\n" in told and "yeeter_worker_broker_connected 1.0\n" in told
        nothing = {"running": 0, "done": 0, "isolated": 0, "hands_lost": 0}
        assert figures == {"alive": True, "consuming": True, "trouble": ""} | nothing
        assert worker.terminate() == 0
        worker.wait_for_line(r"figures\s.*of=worker", 10)


def test_one_that_waits_for_the_broker_is_healthy_and_not_ready(world: World, tmp_path: Path) -> None:
    health, nobody = free_port(), free_port()
    with working(
        tmp_path, f"amqp://guest:guest@127.0.0.1:{nobody}/", "default", YEETER_WORKER_HEALTH_PORT=str(health)
    ) as worker:
        worker.wait_for_line("waiting for the broker", 120)
        with urlopen(f"http://127.0.0.1:{health}/healthz", timeout=60) as answer:
            assert json.load(answer)["consuming"] is False
        with pytest.raises(HTTPError) as error:
            urlopen(f"http://127.0.0.1:{health}/readyz", timeout=60)
        assert error.value.code == 503
        assert worker.terminate() == 0


def test_one_whose_database_is_of_another_version_takes_no_jobs(
    broker: RabbitMqBroker, tmp_path: Path, amqp_url: str
) -> None:
    """What its tables refuse would be taken for a defect of the job."""
    with working(tmp_path, amqp_url, "early") as worker:
        worker.wait_for_line("waiting for the database.*schema", 120)
        broker.declare(["early"])
        assert broker.depth("early").consumers == 0
        with closing(SqlDatabase(f"sqlite:///{tmp_path / 'yeeter.db'}")) as database:
            database.upgrade()
        worker.wait_for_line("working", 60)
        assert worker.terminate() == 0


@pytest.mark.parametrize(
    ("module", "setting"), [("app.worker", "YEETER_WORKER_HEALTH_PORT"), ("app.autoscaler", "YEETER_AUTOSCALER_PORT")]
)
def test_a_port_for_health_that_is_taken_is_told_in_a_line(
    module: str, setting: str, world: World, tmp_path: Path, listening_port: int
) -> None:
    own = environment(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path / 'yeeter.db'}", RABBITMQ_URL="amqp://127.0.0.1:1/")
    with Program([sys.executable, "-m", module], tmp_path / "log", own | {setting: str(listening_port)}) as program:
        assert program.wait(120) == 2
        told = f"error: port {listening_port} of the health endpoint can't be listened on: Address already in use"
        assert program.output.strip().splitlines()[-1] == told
        assert "Traceback" not in program.output


@pytest.mark.timeout(600)
def test_a_worker_whose_hands_are_all_lost_ends_so_that_it_is_started_anew(
    world: World, broker: RabbitMqBroker, tmp_path: Path, amqp_url: str
) -> None:
    broker.declare([QUEUE])
    world = replace(world, broker=broker, inline=InProcessBroker())  # type: ignore[arg-type]
    limits = {"timeout": 0.5, "retry": {"max_attempts": 1}}
    run = world.start(orders=3, steps=dangerous(tmp_path / "log", hanging=[0], **limits))
    producing = Producing(world, run)
    with working(tmp_path, amqp_url, QUEUE, YEETER_WORKER_CONCURRENCY="1") as worker:
        worker.wait_for_line("1 steps ignored their time limits", 240)
        assert worker.wait(120) == 1
    with working(tmp_path, amqp_url, QUEUE):
        wait_until(lambda: producing.is_over, 240, "the run ends")
    ended = producing.wait()
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    assert ended.summary is not None and ended.summary["orders"]["completed"] == 2
