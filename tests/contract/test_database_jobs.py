"""Jobs: granted once, fenced, and finished with everything that follows from it or not at all."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from app.domain.event import (
    JOB_FINISHED,
    JOB_STARTED,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_FAILED,
    STEP_CANCELLED,
    STEP_FAILED,
    STEP_SUCCEEDED,
    TERMINAL_ORDER_KINDS,
)
from app.domain.run import OrderState, RunState, StepState
from app.domain.work import ClaimRequest, OutboxEntry
from tests.contract.database_fixtures import EXPIRED, TYPES, Play, outcome


@pytest.fixture
def split(play: Play) -> Play:
    """A run whose two queued steps have queues of their own: two jobs an order."""
    return Play(play.database, queues=("generate", "send"))


# --- claim ---


def test_a_ready_job_is_granted_once(play: Play) -> None:
    play.acknowledge(0)
    [claim] = play.claim(0, worker="w1")
    assert claim.granted and claim.refusal is None
    assert (claim.head, claim.starts) == (1, 1)
    assert uuid.UUID(claim.fence) and 0 <= claim.wait_seconds < 60
    assert [(again.granted, again.refusal) for again in play.claim(0, worker="w2")] == [(False, "taken")]
    step = play.step(0, 1)
    assert (step.state, step.starts, step.worker) == (StepState.RUNNING, 1, "w1")
    [started] = [event for event in play.events(0) if event.kind == JOB_STARTED]
    assert started.data == {"worker": "w1", "wait_seconds": round(claim.wait_seconds, 6)}
    assert (started.step_index, started.starts) == (1, 1)


def test_answers_come_in_the_order_of_the_requests(play: Play) -> None:
    play.acknowledge(*range(6))
    play.claim(3)
    claims = play.claim(5, 3, 0, 9, 4)
    assert [claim.granted for claim in claims] == [True, False, True, False, True]
    assert [claim.refusal for claim in claims] == [None, "taken", None, "unknown", None]
    [again] = play.claim(play.request(5, redelivered=True))
    assert again.fence != claims[0].fence
    assert play.claim() == []


def test_the_same_job_twice_in_one_group_is_granted_once(play: Play) -> None:
    play.acknowledge(0, 1)
    claims = play.claim(0, 1, play.request(0, redelivered=True), 1)
    assert [claim.refusal for claim in claims] == [None, None, "taken", "taken"]
    assert play.step(0, 1).starts == 1
    assert play.finish(play.finished(0, claims[0])) == [True]


def test_jobs_that_nobody_knows(play: Play) -> None:
    play.acknowledge(0)
    elsewhere = replace(play.request(0), run_id=str(uuid.uuid4()))
    requests = [elsewhere, play.request(1), play.request(0, 1, 2, 3), play.request(0, 7)]
    assert [claim.refusal for claim in play.claim(*requests)] == ["unknown"] * 4


def test_a_job_of_another_epoch_and_one_that_is_done_are_finished(play: Play) -> None:
    play.acknowledge(0, 1)
    [claim] = play.claim(0)
    play.finish(play.finished(0, claim))
    claims = play.claim(0, play.request(0, redelivered=True), play.request(1, epoch=1))
    assert [claim.refusal for claim in claims] == ["finished"] * 3


def test_a_redelivered_job_is_granted_anew_and_the_first_start_fenced_off(play: Play) -> None:
    play.acknowledge(0)
    [first] = play.claim(0, worker="w1")
    [second] = play.claim(play.request(0, redelivered=True), worker="w2")
    assert second.granted and second.starts == 2 and second.fence != first.fence
    assert play.finish(play.finished(0, first)) == [False]
    assert play.order(0).state is OrderState.WAITING
    assert play.finish(play.finished(0, second)) == [True]
    assert play.kinds(0).count(JOB_STARTED) == 2


def test_a_job_whose_lease_ran_out_is_granted_to_whoever_asks(play: Play) -> None:
    play.acknowledge(0)
    play.claim(0, seconds=EXPIRED)
    [claim] = play.claim(0)
    assert claim.granted and claim.starts == 2


def test_a_job_behind_another_job_is_not_ready(split: Play) -> None:
    split.acknowledge(0)
    [claim] = split.claim(split.request(0, 2))
    assert (claim.granted, claim.refusal) == (False, "taken")


def test_a_claim_in_a_run_that_is_being_cancelled_says_so(play: Play) -> None:
    play.acknowledge(0)
    play.move(RunState.CANCELLING)
    [claim] = play.claim(0)
    assert claim.granted and claim.refusal == "cancelled"
    cancelled = tuple(outcome(index, TYPES[index], StepState.CANCELLED) for index in (1, 2))
    finish = play.finished(0, claim, steps=cancelled, order_state=OrderState.CANCELLED, reason="the run was cancelled")
    assert play.finish(finish) == [True]
    assert play.kinds(0)[-4:] == [STEP_CANCELLED, STEP_CANCELLED, JOB_FINISHED, ORDER_CANCELLED]
    assert [event.data["outcome"] for event in play.events(0) if event.kind == JOB_FINISHED] == ["cancelled"]
    assert [play.step(0, index).attempt for index in (1, 2)] == [0, 0]


@pytest.mark.parametrize("end", [RunState.FAILED, RunState.CANCELLED])
def test_a_job_of_a_run_that_has_ended_is_finished(play: Play, end: RunState) -> None:
    play.acknowledge(0)
    play.move(RunState.CANCELLING, end)
    assert [claim.refusal for claim in play.claim(0)] == ["finished"]


def test_jobs_of_several_runs_in_one_group(play: Play) -> None:
    other = Play(play.database)
    play.acknowledge(0)
    other.acknowledge(0)
    other.move(RunState.CANCELLING)
    claims = play.claim(play.request(0), other.request(0))
    assert [claim.refusal for claim in claims] == [None, "cancelled"]
    assert play.finish(play.finished(0, claims[0]), other.finished(0, claims[1])) == [True, True]
    assert play.order(0).state is other.order(0).state is OrderState.COMPLETED


def test_a_group_is_as_large_as_it_likes(play: Play) -> None:
    numbers = range(1500)
    play.acknowledge(*numbers)
    claims = play.claim(*numbers)
    assert all(claim.granted for claim in claims)
    assert all(play.finish(*(play.finished(number, claims[number]) for number in numbers)))
    assert play.counts() == {OrderState.COMPLETED: 1500}


# --- giving up ---


def test_a_claim_that_is_given_up_is_ready_for_the_next(play: Play) -> None:
    play.acknowledge(0)
    [first] = play.claim(0)
    give_up(play, first)
    assert play.step(0, 1).state is StepState.READY
    [second] = play.claim(0)
    assert second.granted and second.starts == 2
    give_up(play, first)  # no longer theirs: nothing happens
    assert play.finish(play.finished(0, second)) == [True]
    give_up(play, second)  # it is done
    assert play.step(0, 1).state is StepState.SUCCEEDED
    with play.database.transaction() as work:
        work.jobs.give_up([])


def give_up(play: Play, claim: object) -> None:
    with play.database.transaction() as work:
        work.jobs.give_up([(play.request(0), claim)])  # type: ignore[list-item]


# --- finish ---


def test_a_job_that_ends_its_order(play: Play) -> None:
    play.acknowledge(0)
    [claim] = play.claim(0)
    steps = (outcome(1, TYPES[1], data={"instances": 3, "bytes": 30}), outcome(2, TYPES[2], data={"stored": 3}))
    assert play.finish(play.finished(0, claim, steps=steps, worker="w7")) == [True]
    order = play.order(0)
    assert order.state is OrderState.COMPLETED
    assert order.instances_stored == 3 and order.finished_at is not None
    assert play.step_states(0) == [StepState.SUCCEEDED] * 3
    assert [(play.step(0, index).attempt, play.step(0, index).worker) for index in (1, 2)] == [(1, "w7")] * 2
    made, sent, finished, completed = play.events(0)[-4:]
    assert [event.kind for event in (made, sent, finished, completed)] == [
        STEP_SUCCEEDED,
        STEP_SUCCEEDED,
        JOB_FINISHED,
        ORDER_COMPLETED,
    ]
    assert made.data == {"type": "GENERATE_DICOM", "seconds": 0.25, "instances": 3, "bytes": 30}
    assert sent.data == {"type": "SEND_DICOM", "seconds": 0.25, "stored": 3}
    assert finished.data == {"queue": "jobs", "worker": "w7", "seconds": 0.5, "outcome": "succeeded"}
    assert completed.data["seconds"] >= 0 and completed.step_index is None


def test_a_job_that_fails_its_order(play: Play) -> None:
    play.acknowledge(0)
    [claim] = play.claim(0)
    steps = (
        outcome(1, TYPES[1], StepState.FAILED, error="no room \x00", data={"error": "PermanentError", "made": 2}),
        outcome(2, TYPES[2], StepState.CANCELLED),
    )
    finish = play.finished(0, claim, steps=steps, order_state=OrderState.FAILED, reason="GENERATE_DICOM: no room")
    assert play.finish(finish) == [True]
    assert play.order(0).reason == "GENERATE_DICOM: no room"
    assert play.step(0, 1).error == "no room \ufffd"
    assert [play.step(0, index).attempt for index in (1, 2)] == [1, 0]
    assert play.kinds(0)[-4:] == [STEP_FAILED, STEP_CANCELLED, JOB_FINISHED, ORDER_FAILED]
    failed, _, finished, ended = play.events(0)[-4:]
    assert failed.data == {
        "type": "GENERATE_DICOM",
        "seconds": 0.25,
        "error": "PermanentError",
        "made": 2,
        "reason": "no room \ufffd",
    }
    assert finished.data["outcome"] == "failed"
    assert ended.data["reason"] == "GENERATE_DICOM: no room"


def test_a_job_that_is_followed_by_one_elsewhere(split: Play) -> None:
    split.acknowledge(0)
    split.publish()
    [first] = split.claim(split.request(0, 1))
    following = OutboxEntry.of(split.job(0, position=1))
    steps = (outcome(1, TYPES[1]),)
    finish = split.finished(0, first, steps=steps, following=following, order_state=None, instances_stored=2)
    assert split.finish(finish) == [True]
    order = split.order(0)
    assert (order.state, order.instances_stored, order.finished_at) == (OrderState.WAITING, 2, None)
    assert split.step_states(0) == [StepState.SUCCEEDED, StepState.SUCCEEDED, StepState.READY]
    assert not set(split.kinds(0)) & set(TERMINAL_ORDER_KINDS)
    with split.database.transaction() as work:
        [message] = work.outbox.take(split.run.id, 10)
    assert (message.job_id, message.queue, message.step_index) == (split.job(0, position=1).id, "send", 2)
    [second] = split.claim(split.request(0, 2))
    assert split.finish(split.finished(0, second)) == [True]
    assert split.order(0).state is OrderState.COMPLETED and split.order(0).instances_stored == 5
    assert split.kinds(0).count(ORDER_COMPLETED) == 1


def test_what_follows_after_a_delay_is_published_when_it_is_due(split: Play) -> None:
    split.acknowledge(0)
    split.publish()
    [claim] = split.claim(split.request(0, 1))
    later = OutboxEntry.of(split.job(0, position=1), delay_seconds=3600.0)
    split.finish(split.finished(0, claim, steps=(outcome(1, TYPES[1]),), following=later, order_state=None))
    ready_at, finished_at = split.step(0, 2).ready_at, split.step(0, 1).finished_at
    assert ready_at is not None and finished_at is not None
    assert 3590 < (ready_at - finished_at).total_seconds() < 3601
    assert split.publish() == [] and split.waiting() == 1


def test_a_stale_finish_writes_nothing_at_all(split: Play) -> None:
    split.acknowledge(0)
    split.publish()
    [stale] = split.claim(split.request(0, 1))
    [own] = split.claim(split.request(0, 1, redelivered=True))
    before = split.order(0), split.step_states(0), split.events(0)
    following = OutboxEntry.of(split.job(0, position=1))
    finish = split.finished(0, stale, steps=(outcome(1, TYPES[1]),), following=following, order_state=None)
    assert split.finish(finish, replace(finish, order_state=OrderState.FAILED, following=None)) == [False, False]
    assert (split.order(0), split.step_states(0), split.events(0)) == before
    assert split.waiting() == 0
    assert split.finish(replace(finish, fence=own.fence, starts=own.starts)) == [True]


def test_a_finish_whose_commit_got_no_answer_counts_as_written_and_writes_nothing_more(play: Play) -> None:
    play.acknowledge(0)
    [claim] = play.claim(0)
    assert play.finish(play.finished(0, claim)) == [True]
    before = play.order(0), play.events(0)
    assert play.finish(play.finished(0, claim)) == [True]
    assert (play.order(0), play.events(0)) == before
    assert play.finish() == []


def test_a_group_of_all_kinds(split: Play) -> None:
    split.acknowledge(*range(5))
    split.publish()
    claims = split.claim(*(split.request(number, 1) for number in range(5)))
    split.claim(split.request(3, 1, redelivered=True))
    made = (outcome(1, TYPES[1]),)
    following = [OutboxEntry.of(split.job(number, position=1)) for number in range(5)]
    failed = (outcome(1, TYPES[1], StepState.FAILED, error="x"), outcome(2, TYPES[2], StepState.CANCELLED))
    unknown = replace(split.finished(9, claims[0]), fence=str(uuid.uuid4()))
    results = split.finish(
        split.finished(4, claims[4], steps=made, following=following[4], order_state=None, instances_stored=0),
        split.finished(3, claims[3], steps=made, following=following[3], order_state=None),
        unknown,
        split.finished(2, claims[2], steps=failed, order_state=OrderState.FAILED, reason="x", instances_stored=0),
        split.finished(0, claims[0]),
        split.finished(1, claims[1], steps=made, following=following[1], order_state=None, instances_stored=1),
    )
    assert results == [True, False, False, True, True, True]
    assert split.counts() == {OrderState.WAITING: 3, OrderState.FAILED: 1, OrderState.COMPLETED: 1}
    assert sorted(split.publish()) == [1, 4]
    assert [split.order(number).instances_stored for number in range(5)] == [3, 1, 0, 0, 0]
    ends = [kind for number in range(5) for kind in split.kinds(number) if kind in TERMINAL_ORDER_KINDS]
    assert sorted(ends) == [ORDER_COMPLETED, ORDER_FAILED]


def test_data_that_json_does_not_know_becomes_text(play: Play) -> None:
    play.acknowledge(0)
    [claim] = play.claim(0)
    odd = {
        "type": "ours wins",
        "path": ClaimRequest,
        "rate": float("inf"),
        "count": 2**64 + 1,
        "nul\x00": ["\x00", "\\u0000", {"\ud800": 1}],
    }
    steps = (outcome(1, TYPES[1], data=odd), outcome(2, TYPES[2]))
    assert play.finish(play.finished(0, claim, steps=steps)) == [True]
    [made] = [event for event in play.events(0) if event.kind == STEP_SUCCEEDED and event.step_index == 1]
    assert made.data["type"] == TYPES[1]
    assert made.data["path"] == str(ClaimRequest)
    assert made.data["rate"] is None
    assert type(made.data["count"]) is int and made.data["count"] == 2**64 + 1
    assert made.data["nul\ufffd"] == ["\ufffd", "\\u0000", {"?": 1}]
