"""Ending a run that nobody can run: whole, with a summary, and without its former workers' help."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from app.domain.errors import Conflict
from app.domain.event import TERMINAL_ORDER_KINDS
from app.domain.run import RunState, Verdict
from app.domain.work import ClaimRequest, JobFinish
from app.ports import OrderOutcome, OutboundOrder
from app.runs.producing.give_up import give_up
from tests.runs.conftest import QUEUE, World
from tests.runs.fakes import ACCEPTED, FakeOrderSender
from tests.runs.faults import MortalDatabase, Producing
from tests.runs.test_cancel import adds_up
from tests.runs.test_takeover import SHORT_LEASE
from tests.services.processes import wait_until


def test_every_order_of_a_run_that_is_given_up_has_its_end(world: World) -> None:
    """Some acknowledged, one claimed by a worker that still lives, some in doubt, some never sent."""

    def answer(order: OutboundOrder) -> OrderOutcome | None:
        return ACCEPTED if order.number < 20 else None

    run = world.start(orders=500)
    mortal = MortalDatabase(world.database)
    sender = FakeOrderSender(answer)
    life = replace(world, database=cast(Any, mortal), sender=sender, lease_seconds=SHORT_LEASE)
    producing = Producing(life, run)
    wait_until(lambda: world.broker.depth(QUEUE).ready == 20, 60, "the jobs")
    request = ClaimRequest(run.id, 3, (1, 2), 0, redelivered=False)
    with world.database.transaction() as work:
        (claim,) = work.jobs.claim([request], "w", 60.0)
    mortal.kill()
    producing.join()
    in_doubt = len(sender._waiting)
    wait_until(lambda: _is_free(world, run.id), 60, "the end of the lease")

    ended = give_up(world.database, run.id, "no use", 5.0)
    assert (ended.state, ended.reason, ended.verdict) == (RunState.FAILED, "no use", Verdict.FAIL)
    counts = adds_up(ended)
    assert (counts["cancelled"], counts["failed"], counts["not_emitted"]) == (20, in_doubt, 480 - in_doubt)
    assert len(world.events(run, *TERMINAL_ORDER_KINDS)) == 20 + in_doubt
    finish = JobFinish(run.id, 3, 0, claim.head, claim.fence, claim.starts, QUEUE, "w", 0.1, ())
    with world.database.transaction() as work:
        assert work.jobs.finish([finish]) == [False]
        assert not work.jobs.outstanding(run.id)
        assert work.leases.remaining(run.id) == 0


def _is_free(world: World, run_id: str) -> bool:
    with world.database.transaction() as work:
        return work.leases.remaining(run_id) == 0


def test_a_run_that_has_ended_stays_as_it_is(world: World) -> None:
    ended = world.run_to_end(world.start())
    assert give_up(world.database, ended.id, "no use", 5.0) == ended


def test_a_run_that_somebody_runs_is_not_given_up(world: World) -> None:
    run = world.start()
    with world.database.transaction() as work:
        work.leases.acquire(run.id, 60.0)
    with pytest.raises(Conflict, match="another producer is running this run"):
        give_up(world.database, run.id, "no use", 5.0)
