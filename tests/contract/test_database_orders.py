"""Orders: an intent before anything is sent, one acknowledgement, one end."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import NotFound
from app.domain.event import JOB_QUEUED, ORDER_CANCELLED, STEP_CANCELLED, STEP_SUCCEEDED
from app.domain.run import OrderState, RunState, StepState
from app.domain.work import PAUSE, NewStep, OrderAcknowledged, OutboxEntry
from tests.contract.database_fixtures import Play, outcome


def acknowledged(number: int, state: OrderState = OrderState.WAITING, **values: Any) -> OrderAcknowledged:
    given: dict[str, Any] = {"ack_code": "AA", "acknowledgement": "MSH|…\rMSA|AA", "possibly_duplicated": False}
    return OrderAcknowledged(number, state, **given | values)


def test_an_intent_is_an_order_that_is_being_sent(play: Play) -> None:
    play.begin(0, 1)
    order = play.order(1)
    intent = play.intent(1)
    assert {name: getattr(order, name) for name in intent.__slots__} == {
        name: getattr(intent, name) for name in intent.__slots__
    }
    assert order.state is OrderState.SENDING
    assert order.begun_at.tzinfo is not None
    assert order.acknowledged_at is None and order.finished_at is None
    assert play.counts() == {OrderState.SENDING: 2}


def test_an_intent_that_is_written_again_stays_as_it_was(play: Play) -> None:
    play.acknowledge(0)
    before = play.order(0)
    with play.database.transaction() as work:
        work.orders.begin(play.run.id, [play.intent(0, patient_name="Somebody^Else"), play.intent(1)])
    assert play.order(0) == before
    assert play.counts() == {OrderState.WAITING: 1, OrderState.SENDING: 1}


def test_acknowledging_writes_each_order_and_its_steps(play: Play) -> None:
    play.begin(0, 1, 2)
    failed = (NewStep(0, "GENERATE_HL7", StepState.FAILED, 1), NewStep(1, "SEND_DICOM", StepState.CANCELLED))
    sent_only = (NewStep(0, "GENERATE_HL7", StepState.SUCCEEDED, 1),)
    with play.database.transaction() as work:
        outcomes = [
            acknowledged(0, steps=play.steps()),
            acknowledged(
                1, OrderState.FAILED, ack_code="AR", reason="refused: \x00", possibly_duplicated=True, steps=failed
            ),
            acknowledged(2, OrderState.COMPLETED, steps=sent_only),
        ]
        assert work.orders.acknowledge(play.run.id, outcomes) == {0, 1, 2}
    waiting, refused, completed = (play.order(number) for number in range(3))
    assert [order.state for order in (waiting, refused, completed)] == [
        OrderState.WAITING,
        OrderState.FAILED,
        OrderState.COMPLETED,
    ]
    assert waiting.acknowledgement == "MSH|…\rMSA|AA" and waiting.finished_at is None
    assert (refused.ack_code, refused.possibly_duplicated, refused.reason) == ("AR", True, "refused: \ufffd")
    assert all(order.acknowledged_at is not None for order in (waiting, refused, completed))
    assert refused.finished_at is not None and completed.finished_at is not None
    assert play.step_states(0) == [StepState.SUCCEEDED, StepState.READY, StepState.PENDING]
    assert play.step_states(1) == [StepState.FAILED, StepState.CANCELLED]
    assert play.step_states(2) == [StepState.SUCCEEDED]
    assert [play.step(1, index).error for index in (0, 1)] == ["refused: \ufffd", ""]
    assert play.step(1, 0).starts == 1
    sent, ready, pending = (play.step(0, index) for index in range(3))
    assert [step.ready_at is not None for step in (sent, ready, pending)] == [False, True, False]
    assert [step.finished_at is not None for step in (sent, ready, pending)] == [True, False, False]


def test_a_second_acknowledgement_writes_nothing(play: Play) -> None:
    play.acknowledge(0)
    play.begin(1)
    before = play.order(0)
    with play.database.transaction() as work:
        steps = play.steps()
        outcomes = [
            acknowledged(0, OrderState.FAILED, reason="later", steps=steps),
            acknowledged(1, steps=steps),
            acknowledged(7, steps=steps),
        ]
        assert work.orders.acknowledge(play.run.id, outcomes) == {1}
    assert play.order(0) == before
    with play.database.transaction() as work:
        assert work.orders.acknowledge(play.run.id, []) == set()


def test_forgetting_removes_what_never_left_and_nothing_else(play: Play) -> None:
    play.acknowledge(0)
    play.begin(*range(1, 1200))
    with play.database.transaction() as work:
        work.orders.forget(play.run.id, range(1100))
        work.orders.forget(play.run.id, [])
    assert play.counts() == {OrderState.WAITING: 1, OrderState.SENDING: 100}
    with pytest.raises(NotFound):
        play.order(1)


def test_orders_that_have_a_row_are_known_by_number(play: Play) -> None:
    assert play.do(lambda work: work.orders.begun(play.run.id)) == {}
    play.acknowledge(0, 3)
    play.begin(1, 7)
    assert play.do(lambda work: work.orders.begun(play.run.id)) == {0: False, 1: True, 3: False, 7: True}


def test_one_positive_acknowledgement_says_who_the_receiver_is(play: Play) -> None:
    def acknowledgement() -> str:
        return play.do(lambda work: work.orders.any_acknowledgement(play.run.id))

    assert acknowledgement() == ""
    play.begin(0, 1, 2, 3)
    answers = [("AR", "refused"), ("AA", ""), ("CA", "MSH|…|MSA|CA")]
    with play.database.transaction() as work:
        for number, (code, text) in enumerate(answers):
            assert work.orders.any_acknowledgement(play.run.id) == ""
            outcome = acknowledged(number, OrderState.COMPLETED, ack_code=code, acknowledgement=text)
            work.orders.acknowledge(play.run.id, [outcome])
    assert acknowledgement() == "MSH|…|MSA|CA"


def test_counts_name_every_state(play: Play) -> None:
    with play.database.transaction() as work:
        assert work.orders.counts(play.run.id) == dict.fromkeys(OrderState, 0)


def test_cancelling_ends_every_order_that_nobody_has_claimed(play: Play) -> None:
    play.acknowledge(*range(1201))
    play.begin(2000)
    play.publish(2)
    [claim, done] = play.claim(0, 1)
    play.finish(play.finished(1, done))
    with play.database.transaction() as work:
        assert work.orders.cancel_waiting(play.run.id) == 1199
        assert work.orders.cancel_waiting(play.run.id) == 0
    assert play.counts() == {
        OrderState.CANCELLED: 1199,
        OrderState.COMPLETED: 1,
        OrderState.WAITING: 1,
        OrderState.SENDING: 1,
    }
    assert play.waiting() == 0
    assert play.step_states(5) == [StepState.SUCCEEDED, StepState.CANCELLED, StepState.CANCELLED]
    assert play.kinds(5) == [STEP_SUCCEEDED, STEP_CANCELLED, STEP_CANCELLED, ORDER_CANCELLED]
    assert play.order(5).finished_at is not None and play.order(5).reason == "the run was cancelled"
    assert JOB_QUEUED in play.kinds(0) and ORDER_CANCELLED not in play.kinds(0)
    assert play.finish(play.finished(0, claim)) == [True]
    assert play.order(0).state is OrderState.COMPLETED


def test_cancelling_takes_jobs_that_wait_for_another_attempt_or_a_destination(play: Play) -> None:
    play.acknowledge(0, 1, 2)
    play.publish()
    [claim] = play.claim(0)
    play.finish(play.retried(0, claim, "transport", delay=600.0))
    play.move(RunState.RUNNING, RunState.PAUSED)
    play.claim(1)
    assert play.parked() == {PAUSE: 1} and play.waiting() == 1
    with play.database.transaction() as work:
        assert work.orders.cancel_waiting(play.run.id) == 3
    assert play.parked() == {} and play.waiting() == 0
    assert play.counts() == {OrderState.CANCELLED: 3}
    for number in range(3):
        assert play.step_states(number) == [StepState.SUCCEEDED, StepState.CANCELLED, StepState.CANCELLED]
    assert not play.do(lambda work: work.jobs.outstanding(play.run.id))
    assert play.release(PAUSE) == []


def test_cancelling_between_two_jobs_ends_the_steps_that_are_left(play: Play) -> None:
    play = Play(play.database, queues=("generate", "send"))
    play.acknowledge(0)
    play.publish()
    [claim] = play.claim(play.request(0, 1))
    following = play.job(0, position=1)
    play.finish(
        play.finished(
            0, claim, steps=(outcome(1, "GENERATE_DICOM"),), following=OutboxEntry.of(following), order_state=None
        )
    )
    assert play.waiting() == 1
    with play.database.transaction() as work:
        assert work.orders.cancel_waiting(play.run.id) == 1
    assert play.waiting() == 0
    assert play.step_states(0) == [StepState.SUCCEEDED, StepState.SUCCEEDED, StepState.CANCELLED]
    assert [claim.refusal for claim in play.claim(play.request(0, 2))] == ["finished"]


def test_a_run_is_outstanding_until_its_orders_have_ended_and_nothing_waits_to_be_published(play: Play) -> None:
    def outstanding() -> bool:
        with play.database.transaction() as work:
            return work.jobs.outstanding(play.run.id)

    assert not outstanding()
    play.begin(0)
    assert outstanding()
    play.acknowledge(0)
    [claim] = play.claim(0)
    assert outstanding()
    play.finish(play.finished(0, claim))
    assert outstanding()
    play.publish()
    assert not outstanding()
    play.move(RunState.RUNNING)
    assert not outstanding()
