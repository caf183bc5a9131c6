"""A defect in one of the threads that a run needs ends the run; nobody waits for ever for what a dead thread had."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.runs.produce import Producer
from app.runs.start import template_of
from app.runs.work import Worker
from tests.runs.conftest import World


class Ended:
    """How producing ended, in a thread of its own: a defect must not hang the suite."""

    def __init__(self, produce: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._produce = produce
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        thread.join(15)
        assert not thread.is_alive(), "it hangs"

    def _run(self) -> None:
        try:
            self._produce()
        except BaseException as error:
            self.error = error


def no_good(*_: Any) -> Any:
    raise ZeroDivisionError("a defect")


def test_of_the_relay(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = world.producer(world.start())
    monkeypatch.setattr(world.broker, "publish", no_good)
    assert "relay" in str(Ended(producer.produce).error)


def test_of_the_fold_that_follows_the_events(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = world.producer(world.start())
    monkeypatch.setattr("app.runs.summary.SummaryFold.apply", no_good)
    assert "feed" in str(Ended(producer.produce).error)


def test_of_the_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    producer = world.producer(world.start())
    monkeypatch.setattr("app.adapters.database.runs.SqlLeases.renew", no_good)
    assert "lease" in str(Ended(producer.produce).error)


@pytest.mark.parametrize("thread", ["taker", "hand", "finisher"])
def test_of_an_embedded_worker(world: World, monkeypatch: pytest.MonkeyPatch, thread: str) -> None:
    run = world.start()
    worker = world.worker()
    _break(worker, thread, monkeypatch)
    producer = Producer(world.parts(), run, template_of(run), [worker.check])
    worker.start()
    assert worker.is_alive
    assert thread in str(Ended(producer.produce).error)
    assert not worker.is_alive
    Ended(lambda: worker.stop(grace=60.0))  # it does not wait for what will never be done


def _break(worker: Worker, thread: str, monkeypatch: pytest.MonkeyPatch) -> None:
    match thread:
        case "taker":
            monkeypatch.setattr("app.runs.work.decode_job", no_good)
        case "hand":
            monkeypatch.setattr(worker._runner, "run", no_good)
        case "finisher":
            monkeypatch.setattr("app.adapters.database.jobs.SqlJobs.finish", no_good)
