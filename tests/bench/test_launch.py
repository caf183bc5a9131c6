"""Launching under measurement: who else is on the broker, and the processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from app.adapters.broker.in_process import InProcessBroker
from app.bench.launch import Launcher, WorkerShape, require_broker, watch
from app.bench.processes import Measured
from app.bootstrap import Bundle, bootstrap, prepare_database
from app.domain.errors import Conflict, InvalidInput, NotFound, Unavailable, YeeterError
from app.domain.run import RunState
from app.ports import Broker, Message, Subscription
from app.runs.start import RunRequest
from app.settings import Settings

REQUEST = RunRequest(template="", hl7="127.0.0.1:1", dicom="A@127.0.0.1:1")
SHAPE = WorkerShape(1, 1, 1)


@pytest.fixture
def bundle(tmp_path: Path) -> Iterator[Bundle]:
    """With a broker that is not the embedded one."""
    with bootstrap(Settings(home=tmp_path)) as made, closing(InProcessBroker()) as broker:
        prepare_database(made)
        yield replace(made, broker=broker)


@dataclass
class Process:
    """Ends after so many looks or questions whether it has."""

    looks: int = 1
    subscription: Subscription | None = None  # of a worker
    peak_mib: float = 90.0
    cpu_seconds: float = 0.5

    @property
    def has_ended(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def look(self) -> None:
        self.looks -= 1

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.subscription:
            self.subscription.close()


@dataclass
class Programs:
    """Starts what only seems to be one; a worker takes jobs from the broker's queues, unless it is ``broken``."""

    broker: Broker
    broken: bool = False
    started: list[tuple[str, ...]] = field(default_factory=list)
    environments: list[Mapping[str, str] | None] = field(default_factory=list)

    def __call__(self, *command: str, environment: Mapping[str, str] | None = None) -> Process:
        self.started.append(command)
        self.environments.append(environment)
        if command[0] == "app.producer":
            return Process(3)
        if self.broken:
            return Process(0)
        return Process(1000, self.broker.subscribe(command[2].split(","), 1))


@pytest.fixture
def programs(bundle: Bundle) -> Programs:
    return Programs(bundle.broker)


@pytest.fixture
def launcher(bundle: Bundle, programs: Programs) -> Launcher:
    return Launcher(bundle, REQUEST, programs, quiet_seconds=0.0)  # type: ignore[arg-type]


def test_it_takes_a_broker(bundle: Bundle) -> None:
    require_broker(bundle)
    with pytest.raises(InvalidInput, match="RABBITMQ_URL"):
        require_broker(replace(bundle, broker=bundle.inline))


def test_what_is_wrong_with_a_request_is_told_before_anything_is_launched(launcher: Launcher) -> None:
    assert launcher.prepare("metadata-only", 7).requested == 7
    with pytest.raises(NotFound, match="absent"):
        launcher.prepare("absent", 7)
    with pytest.raises(InvalidInput, match="steps"):
        launcher.prepare({"name": "x", "steps": []}, 7)


def test_jobs_of_other_runs_are_not_measured_along(bundle: Bundle, launcher: Launcher) -> None:
    run = launcher.prepare("metadata-only", 1)
    (queue,) = launcher.queues(run)
    bundle.broker.declare([queue])
    bundle.broker.publish([Message("1", queue, b"{}")])
    assert launcher.depth(run) == 1
    with pytest.raises(Conflict, match=f"1 jobs of other runs wait in {queue}"), launcher.workers(run, SHAPE):
        pytest.fail("workers were started")


def test_other_workers_are_not_measured_along(bundle: Bundle, launcher: Launcher) -> None:
    run = launcher.prepare("metadata-only", 1)
    (queue,) = launcher.queues(run)
    bundle.broker.declare([queue])
    with (
        closing(bundle.broker.subscribe([queue], 1)),
        pytest.raises(Conflict, match=f"other workers take jobs from {queue}"),
        launcher.workers(run, SHAPE),
    ):
        pytest.fail("workers were started")


def test_workers_are_started_with_their_settings_and_take_jobs(launcher: Launcher, programs: Programs) -> None:
    run = launcher.prepare("split-queues", 1)
    with launcher.workers(run, WorkerShape(2, 200, 8)) as pool:
        assert len(pool) == len(programs.started) == 2
    command, environment = programs.started[0], programs.environments[0]
    assert command[:3] == ("app.worker", "--queues", ",".join(launcher.queues(run)))
    assert environment is not None
    assert (environment["YEETER_WORKER_PREFETCH"], environment["YEETER_WORKER_CONCURRENCY"]) == ("200", "8")


def test_a_worker_that_ends_at_once_is_told(launcher: Launcher, programs: Programs) -> None:
    programs.broken = True
    run = launcher.prepare("metadata-only", 1)
    with pytest.raises(Unavailable, match="a worker ended"), launcher.workers(run, SHAPE):
        pytest.fail("it takes no jobs")


def test_a_run_that_is_interrupted_is_cancelled(bundle: Bundle, launcher: Launcher) -> None:
    run = launcher.prepare("metadata-only", 1)
    with pytest.raises(KeyboardInterrupt), launcher.producer(run) as producer:
        raise KeyboardInterrupt
    assert producer.has_ended  # it was waited for
    with bundle.database.transaction() as work:
        assert work.runs.get(run.id).state is RunState.CANCELLING


def test_a_run_that_has_not_ended_has_no_figures(launcher: Launcher) -> None:
    run = launcher.prepare("metadata-only", 1)
    with launcher.producer(run):
        pass
    with pytest.raises(YeeterError, match=f"run {run.run_key} is PENDING"):
        launcher.ended(run)


def test_a_run_is_watched_until_its_producer_has_ended() -> None:
    asked: list[str] = []
    watch(Process(3), [Process(9), Process(1)], lambda: asked.append("depth"))  # type: ignore[arg-type,list-item]
    assert asked == ["depth"]


def test_a_run_whose_workers_have_all_ended_is_not_waited_for() -> None:
    with pytest.raises(YeeterError, match="the workers ended"):
        watch(Process(1000), [Process(1), Process(0)])  # type: ignore[arg-type,list-item]


def test_a_process_is_measured_without_its_start() -> None:
    with Measured("json.tool") as process:  # which waits for its input
        end = time.monotonic() + 30
        while not process.cpu_seconds and time.monotonic() < end:  # its start takes some hundredths
            process.look()
        assert process.cpu_seconds and process.peak_mib and process.peak_mib > 1
        process.begin()
        assert process.cpu_seconds == 0
        assert not process.has_ended
    assert process.has_ended
