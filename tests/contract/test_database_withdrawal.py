"""Jobs that an operator takes out of a queue: nobody runs them as they are, and each is accounted for."""

from __future__ import annotations

from app.domain import event as kinds
from app.domain.run import OrderState, RunState, StepState
from app.domain.work import PURGED, DeadLetterFilter, Death, JobFinish, Withdrawn
from tests.contract.database_fixtures import QUEUE, Play, outcome

WAITING_FOR = PURGED + QUEUE


def withdraw_and_park(play: Play, *indexes: int, limit: int = 100) -> list[int]:
    with play.database.transaction() as work:
        withdrawn = work.jobs.withdraw(play.run.id, indexes or (1, 2), limit)
        work.jobs.set_aside(play.run.id, withdrawn, WAITING_FOR, "purged")
    return [each.job.order_number for each in withdrawn]


def ended(play: Play, withdrawn: Withdrawn, state: OrderState, **values: object) -> JobFinish:
    """The finish of a job that nobody ran."""
    head = StepState.FAILED if state is OrderState.FAILED else StepState.CANCELLED
    steps = (outcome(1, "GENERATE_DICOM", head), outcome(2, "SEND_DICOM", StepState.CANCELLED))
    job = withdrawn.job
    return JobFinish(
        run_id=play.run.id,
        order_number=job.order_number,
        epoch=job.epoch,
        head=job.step_index,
        fence=withdrawn.fence,
        starts=job.starts,
        queue=QUEUE,
        worker="",
        seconds=0.0,
        steps=steps,
        order_state=state,
        **values,  # type: ignore[arg-type]
    )


def test_only_published_jobs_that_nobody_has_claimed_are_taken(play: Play) -> None:
    play.acknowledge(0, 1, 2)
    play.publish()
    play.acknowledge(3)  # in the outbox
    play.claim(1)
    assert withdraw_and_park(play) == [0, 2]
    assert withdraw_and_park(play) == []
    assert play.finish(play.finished(1, play.claim(play.request(1, redelivered=True))[0])) == [True]
    assert play.step(3, 1).state is StepState.READY


def test_jobs_of_other_steps_are_left_and_a_group_is_bounded(play: Play) -> None:
    play.acknowledge(0, 1, 2)
    play.publish()
    assert withdraw_and_park(play, 2) == []
    assert withdraw_and_park(play, limit=2) == [0, 1]


def test_a_parked_job_waits_until_it_is_released(play: Play) -> None:
    play.acknowledge(0)
    play.publish()
    assert withdraw_and_park(play) == [0]
    assert [claim.refusal for claim in play.claim(play.request(0, redelivered=True))] == ["parked"]
    assert play.kinds(0)[-1] == kinds.STEP_PARKED
    with play.database.transaction() as work:
        assert [(count.waiting_for, count.jobs) for count in work.jobs.parked(play.run.id)] == [(WAITING_FOR, 1)]
        assert [job.order_number for job in work.jobs.release(play.run.id, WAITING_FOR, 10)] == [0]
    assert play.claim(0)[0].granted


def test_a_withdrawn_job_can_end_without_having_been_run(play: Play) -> None:
    play.acknowledge(0, 1)
    play.publish()
    with play.database.transaction() as work:
        first, second = work.jobs.withdraw(play.run.id, (1, 2), 10)
        death = Death("undeliverable", "purged")
        dead = ended(play, first, OrderState.FAILED, reason="purged", death=death, body="{}")
        assert work.jobs.finish([dead, ended(play, second, OrderState.CANCELLED)]) == [True, True]
    assert play.counts() == {OrderState.FAILED: 1, OrderState.CANCELLED: 1}
    assert [claim.refusal for claim in play.claim(0, 1)] == ["finished", "finished"]
    assert not {kinds.JOB_STARTED, kinds.JOB_FINISHED} & set(play.kinds())
    letters = play.database.queries.dead_letters(DeadLetterFilter(run=play.run.id), after=None, limit=10).rows
    assert [(letter.order_number, letter.kind, letter.step_index) for letter in letters] == [(0, "undeliverable", 1)]


def test_a_dead_one_can_be_reopened(play: Play) -> None:
    play.move(RunState.RUNNING)
    play.acknowledge(0)
    play.publish()
    with play.database.transaction() as work:
        (taken,) = work.jobs.withdraw(play.run.id, (1, 2), 10)
        death = Death("undeliverable", "purged")
        work.jobs.finish([ended(play, taken, OrderState.FAILED, reason="purged", death=death, body="{}")])
        letters = work.dead_letters.matching(DeadLetterFilter(run=play.run.id), 10)
        assert work.dead_letters.reopen(letters) == {play.run.id: 1}
    assert play.step_states(0) == [StepState.SUCCEEDED, StepState.PARKED, StepState.PENDING]
