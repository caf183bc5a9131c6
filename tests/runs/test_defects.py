"""A defect in one of the threads that a run needs ends the run; nobody waits for ever for what a dead thread had."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.domain.run import OrderState, RunState
from app.domain.work import DeadLetterFilter
from app.runs.producing.produce import Producer
from app.runs.start import template_of
from tests.runs.broken import Broken, broken_database
from tests.runs.conftest import World


class Ended:
    """How producing ended, in a thread of its own: a defect must not hang the suite."""

    def __init__(self, produce: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._produce = produce
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        thread.join(120)
        assert not thread.is_alive(), "it hangs"

    def _run(self) -> None:
        try:
            self._produce()
        except BaseException as error:
            self.error = error


def test_of_the_relay(world: World) -> None:
    broken: Any = Broken(world.broker, "publish")
    producer = replace(world, broker=broken).producer(world.start())
    assert "relay" in str(Ended(producer.produce).error)


def test_of_what_follows_the_events(world: World) -> None:
    broken: Any = Broken(world.database, "feed.read")
    producer = replace(world, database=broken).producer(world.start())
    assert "feed" in str(Ended(producer.produce).error)


def test_of_the_lease(world: World) -> None:
    broken: Any = broken_database(world.database, "leases.renew")
    producer = replace(world, database=broken).producer(world.start())
    assert "lease" in str(Ended(producer.produce).error)


@pytest.mark.parametrize(("thread", "at"), [("taker", "jobs.claim"), ("finisher", "jobs.finish")])
def test_of_an_embedded_worker(world: World, thread: str, at: str) -> None:
    run = world.start()
    broken: Any = broken_database(world.database, at)
    worker = replace(world, database=broken).worker()
    producer = Producer(world.parts(), run, template_of(run), [worker.check])
    worker.start()
    assert worker.is_alive
    assert f"{thread} died" in str(Ended(producer.produce).error)
    assert not worker.is_alive
    Ended(lambda: worker.stop(grace=600.0))  # it does not wait for what will never be done


def test_of_what_a_job_is_run_with_ends_that_job_alone(world: World) -> None:
    """Not the hand: it would be the next job's, too."""

    def fails_once(honest: Callable[..., Any], run_id: str, **kw: Any) -> Any:
        if failures:
            raise failures.pop()
        return honest(run_id, **kw)

    failures = [ZeroDivisionError("a defect")]
    run = world.start()
    broken: Any = broken_database(world.database, "runs.get", fails_once)
    worker = replace(world, database=broken).worker(concurrency=1)
    worker.start()
    ended = world.producer(run).produce()
    assert worker.stop(30)
    assert ended.state is RunState.COMPLETED_WITH_ERRORS
    with world.database.transaction() as work:
        counts = work.orders.counts(run.id)
        [letter] = [work.dead_letters.get(id_) for id_ in work.dead_letters.matching(DeadLetterFilter(), 10)]
    assert (counts[OrderState.COMPLETED], counts[OrderState.FAILED]) == (4, 1)
    assert (letter.kind, letter.reason) == ("defect", "defect: ZeroDivisionError('a defect')")
    assert "fails_once" in letter.traceback
