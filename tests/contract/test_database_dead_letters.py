"""Dead letters: written with the failure, listed, discarded, and reopened to go on at the next epoch."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.domain.errors import InvalidInput, NotFound
from app.domain.event import (
    JOB_DEAD_LETTERED,
    JOB_FINISHED,
    JOB_QUEUED,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_FAILED,
    ORDER_REOPENED,
    STEP_CANCELLED,
    STEP_FAILED,
    STEP_REOPENED,
    STEP_SUCCEEDED,
    TERMINAL_ORDER_KINDS,
    TERMINAL_STEP_KINDS,
)
from app.domain.job import job_id
from app.domain.run import OrderState, StepState
from app.domain.work import (
    REOPENED,
    Claim,
    DeadLetterFilter,
    DeadLetterRow,
    DeadLetterState,
    Death,
    JobFinish,
    NewDeadLetter,
    OutboxEntry,
)
from tests.contract.database_fixtures import QUEUE, TYPES, Play

BAD = Death("permanent", "no good", "Traceback: ...")


def die(play: Play, *numbers: int, done: int = 0, epoch: int = 0) -> list[DeadLetterRow]:
    """Jobs that end as dead letters, in this order; their letters."""
    claims = play.claim(*(play.request(number, epoch=epoch) for number in numbers))
    finishes = [play.died(number, claim, done, epoch=epoch) for number, claim in zip(numbers, claims, strict=True)]
    assert all(play.finish(*finishes))
    return play.letters(state=DeadLetterState.OPEN)[: len(numbers)][::-1]


def reopen(play: Play, *letters: DeadLetterRow) -> dict[str, int]:
    return play.do(lambda work: work.dead_letters.reopen([letter.id for letter in letters]))


@pytest.fixture
def failed(play: Play) -> Play:
    play.acknowledge(0)
    play.publish()
    return play


# --- what is written ---


def test_a_dead_job_leaves_a_letter_with_all_that_is_known_of_it(failed: Play) -> None:
    [letter] = die(failed, 0)
    assert letter == DeadLetterRow(
        id=letter.id,
        run_id=failed.run.id,
        run_key=failed.run.run_key,
        order_number=0,
        step_index=1,
        step_type=TYPES[1],
        epoch=0,
        queue=QUEUE,
        job_id=job_id(failed.run.id, 0, 1, 0),
        body='{"a": "job"}',
        kind="permanent",
        reason="no good",
        traceback="Traceback: ...",
        worker="w1",
        at=letter.at,
        state=DeadLetterState.OPEN,
        settled_at=None,
    )
    assert letter.at.tzinfo is not None
    assert failed.order(0).state is OrderState.FAILED
    assert failed.kinds(0)[-5:] == [STEP_FAILED, STEP_CANCELLED, JOB_FINISHED, JOB_DEAD_LETTERED, ORDER_FAILED]
    told = failed.events(0)[-2]
    assert (told.step_index, told.starts, told.data) == (1, 1, {"kind": "permanent", "reason": "no good"})
    assert failed.do(lambda work: work.dead_letters.get(letter.id)) == letter


def test_the_letter_names_the_step_that_failed(failed: Play) -> None:
    [letter] = die(failed, 0, done=1)
    assert (letter.step_index, letter.step_type) == (2, TYPES[2])


def test_a_job_whose_claim_was_lost_leaves_no_letter(failed: Play) -> None:
    [claim] = failed.claim(0)
    failed.claim(failed.request(0, redelivered=True))
    assert failed.finish(failed.died(0, claim)) == [False]
    assert failed.letters() == []


def test_text_that_no_database_takes_is_kept_as_well_as_can_be(failed: Play) -> None:
    [claim] = failed.claim(0)
    death = Death("defect", "nul \x00", "half a pair \ud800")
    failed.finish(failed.died(0, claim, death=death, body="\x00"))
    [letter] = failed.letters()
    assert (letter.reason, letter.traceback, letter.body) == ("nul \ufffd", "half a pair ?", "\ufffd")


# --- messages that name no row ---


@pytest.fixture
def queue(play: Play) -> str:
    """A queue that only this test knows."""
    return f"q-{uuid.uuid4()}"


def strange(queue: str, **values: str) -> NewDeadLetter:
    given = {"queue": queue, "job_id": "m-1", "body": "Dear diary", "worker": "w1"}
    return NewDeadLetter(**given | values, death=Death("not_a_job", "not a job message"))


def test_a_message_that_is_no_job_is_kept_as_it_came(play: Play, queue: str) -> None:
    play.do(lambda work: work.dead_letters.add([strange(queue), strange(queue, job_id="m" * 999, worker="w" * 999)]))
    play.do(lambda work: work.dead_letters.add([]))
    long, letter = play.letters(run=None, queue=queue)
    assert (letter.run_id, letter.run_key, letter.order_number, letter.step_index) == (None, None, None, None)
    assert (letter.job_id, letter.body, letter.worker) == ("m-1", "Dear diary", "w1")
    assert (letter.kind, letter.reason, letter.traceback) == ("not_a_job", "not a job message", "")
    assert (len(long.job_id), len(long.worker)) == (128, 128)


def test_a_message_that_is_no_job_can_be_discarded_and_not_reopened(play: Play, queue: str) -> None:
    play.do(lambda work: work.dead_letters.add([strange(queue)]))
    [letter] = play.letters(run=None, queue=queue)
    assert reopen(play, letter) == {}
    assert play.do(lambda work: work.dead_letters.discard([letter.id])) == 1
    [letter] = play.letters(run=None, queue=queue)
    assert letter.state is DeadLetterState.DISCARDED and letter.settled_at is not None
    assert play.do(lambda work: work.dead_letters.discard([letter.id, 10**15])) == 0


def test_a_letter_that_is_not_there(play: Play) -> None:
    with pytest.raises(NotFound, match="no dead letter 0"):
        play.do(lambda work: work.dead_letters.get(0))


# --- listing ---


def test_letters_are_found_by_what_is_asked_for(play: Play, queue: str) -> None:
    other = Play(play.database)
    for each in (play, other):
        each.acknowledge(*range(4))
    deaths = [Death("permanent", "no room"), Death("exhausted", "100 % full_up"), Death("defect", "No Room at all")]
    claims = play.claim(0, 1, 2)
    play.finish(*(play.died(n, claims[n], death=deaths[n], queue=queue) for n in range(3)))
    die(other, 0)
    letters = {letter.order_number: letter.id for letter in play.letters()}
    play.do(lambda work: work.dead_letters.discard([letters[2]]))

    def found(**wanted: object) -> list[int | None]:
        given = DeadLetterFilter(**{"run": play.run.id} | wanted)  # type: ignore[arg-type]
        ids = play.do(lambda work: work.dead_letters.matching(given, 100))
        page = play.database.queries.dead_letters(given, after=None, limit=100)
        assert [letter.id for letter in page.rows] == ids[::-1]
        return [number for number, id_ in letters.items() if id_ in ids][::-1]

    assert found() == [0, 1]
    assert found(state=None) == [0, 1, 2]
    assert found(state=DeadLetterState.DISCARDED) == [2]
    assert found(state=None, kind="defect") == [2]
    assert found(state=None, search="room") == [0, 2]
    assert found(search="0 % full_") == [1]
    assert found(search="_") == [1]
    assert found(run=play.run.run_key.lower()) == [0, 1]
    assert found(run="nobody") == []
    assert found(run=None, queue=queue) == [0, 1]
    assert found(queue="elsewhere") == []
    assert found(step_type=TYPES[1]) == [0, 1]
    assert found(step_type=TYPES[2]) == []
    with play.database.transaction() as work:
        assert work.dead_letters.matching(DeadLetterFilter(run=play.run.id), 1) == [letters[0]]


def test_pages_are_newest_first_and_whole(play: Play) -> None:
    play.acknowledge(*range(7))
    die(play, *range(7))
    wanted, after, seen = DeadLetterFilter(run=play.run.id), None, []
    for size in (3, 3, 1):
        page = play.database.queries.dead_letters(wanted, after=after, limit=3)
        assert len(page.rows) == size
        seen += [letter.order_number for letter in page.rows]
        after = page.next_cursor
    assert after is None and seen == [6, 5, 4, 3, 2, 1, 0]
    with pytest.raises(InvalidInput):
        play.database.queries.dead_letters(wanted, after="nonsense", limit=3)


def test_letters_are_counted_by_kind(play: Play, queue: str) -> None:
    play.acknowledge(*range(4))
    claims = play.claim(*range(4))
    deaths = [BAD, BAD, Death("defect", "x"), BAD]
    play.finish(*(play.died(n, claims[n], done=int(n == 3), death=deaths[n], queue=queue) for n in range(4)))
    [first, *_] = play.letters(queue=queue)[::-1]
    play.do(lambda work: work.dead_letters.discard([first.id]))
    counts = [each for each in play.database.queries.dead_letter_counts() if each["queue"] == queue]
    assert sorted((each["state"], each["kind"], each["step_type"], each["count"]) for each in counts) == [
        ("DISCARDED", "permanent", TYPES[1], 1),
        ("OPEN", "defect", TYPES[1], 1),
        ("OPEN", "permanent", TYPES[1], 1),
        ("OPEN", "permanent", TYPES[2], 1),
    ]
    discarded = next(each for each in counts if each["state"] == "DISCARDED")
    assert discarded["oldest"] == discarded["newest"] == first.at


# --- reopening ---


def test_a_reopened_job_waits_where_it_failed_at_the_next_epoch(failed: Play) -> None:
    [letter] = die(failed, 0, done=1)
    assert reopen(failed, letter) == {failed.run.id: 1}
    order = failed.order(0)
    assert (order.state, order.finished_at, order.reason) == (OrderState.WAITING, None, "")
    assert failed.step_states(0) == [StepState.SUCCEEDED, StepState.SUCCEEDED, StepState.PARKED]
    step = failed.step(0, 2)
    assert (step.epoch, step.attempt, step.error, step.finished_at, step.starts) == (1, 0, "", None, 2)
    assert failed.parked() == {REOPENED: 1}
    reopened, started_over = failed.events(0)[-2:]
    assert (reopened.kind, reopened.epoch, reopened.step_index) == (ORDER_REOPENED, 1, None)
    assert (started_over.kind, started_over.epoch, started_over.step_index) == (STEP_REOPENED, 1, 2)
    assert started_over.data == {"type": TYPES[2]}
    [settled] = failed.letters()
    assert settled.state is DeadLetterState.RETRIED and settled.settled_at is not None
    assert failed.do(lambda work: work.jobs.outstanding(failed.run.id))


def test_the_second_epoch_is_played_to_the_end(failed: Play) -> None:
    [letter] = die(failed, 0)
    reopen(failed, letter)
    assert failed.step_states(0) == [StepState.SUCCEEDED, StepState.PARKED, StepState.PENDING]
    assert [claim.refusal for claim in failed.claim(0)] == ["finished"]  # the message of the first epoch
    [released] = failed.release(REOPENED)
    assert (released.step_index, released.epoch, released.starts) == (1, 1, 2)
    failed.publish()
    [claim] = failed.claim(failed.request(0, epoch=1))
    assert (claim.head, claim.starts, claim.attempts, claim.lost_starts, claim.crashes) == (1, 3, 0, 0, 0)
    assert failed.finish(failed.retried(0, claim, "verdict", done=1, epoch=1)) == [True]
    failed.publish()
    [claim] = failed.claim(failed.request(0, 2, epoch=1))
    assert claim.attempts == 1
    assert failed.finish(failed.finished(0, claim, epoch=1)) == [True]
    assert failed.order(0).state is OrderState.COMPLETED
    ends = [(event.kind, event.epoch) for event in failed.events(0) if event.kind in TERMINAL_ORDER_KINDS]
    assert ends == [(ORDER_FAILED, 0), (ORDER_COMPLETED, 1)]
    steps = [(e.kind, e.step_index, e.epoch) for e in failed.events(0) if e.kind in TERMINAL_STEP_KINDS]
    assert sorted(steps[1:], key=lambda each: each[1:]) == [
        (STEP_FAILED, 1, 0),
        (STEP_SUCCEEDED, 1, 1),
        (STEP_CANCELLED, 2, 0),
        (STEP_SUCCEEDED, 2, 1),
    ]
    queued = [(e.step_index, e.starts, e.epoch) for e in failed.events(0) if e.kind == JOB_QUEUED]
    assert queued == [(1, 0, 0), (1, 2, 1), (2, 3, 1)]


def play_on(play: Play, epoch: int) -> JobFinish:
    play.release(REOPENED)
    [claim] = play.claim(play.request(0, epoch=epoch))
    return play.died(0, claim, epoch=epoch)


def test_a_job_may_die_in_every_epoch(failed: Play) -> None:
    [letter] = die(failed, 0)
    for epoch in range(1, 4):
        assert reopen(failed, letter) == {failed.run.id: 1}
        assert failed.finish(play_on(failed, epoch)) == [True]
        [letter] = failed.letters(state=DeadLetterState.OPEN)
        assert letter.epoch == epoch
    ends = Counter((event.kind, event.epoch) for event in failed.events(0) if event.kind in TERMINAL_ORDER_KINDS)
    assert ends == dict.fromkeys([(ORDER_FAILED, epoch) for epoch in range(4)], 1)
    assert Counter(letter.state for letter in failed.letters()) == {DeadLetterState.RETRIED: 3, DeadLetterState.OPEN: 1}


def test_a_job_may_die_in_every_epoch_without_having_been_started(failed: Play) -> None:
    """As it does when an operator takes it out of its queue."""
    for epoch in range(3):
        with failed.database.transaction() as work:
            [withdrawn] = work.jobs.withdraw(failed.run.id, (1, 2), 10)
            claim = Claim(granted=True, head=1, fence=withdrawn.fence, starts=withdrawn.job.starts)
            assert work.jobs.finish([failed.died(0, claim, epoch=epoch)]) == [True]
        reopen(failed, *failed.letters(state=DeadLetterState.OPEN))
        failed.release(REOPENED)
        failed.publish()
    assert failed.kinds(0).count(STEP_FAILED) == failed.kinds(0).count(STEP_REOPENED) == 3


@pytest.fixture(params=["parked", "ready", "published"])
def reopened(request: pytest.FixtureRequest, failed: Play) -> Play:
    """A job of the second epoch that nobody has begun."""
    reopen(failed, *die(failed, 0))
    if request.param != "parked":
        failed.release(REOPENED)
    if request.param == "published":
        failed.publish()
    return failed


def test_a_reopened_order_can_be_cancelled(reopened: Play) -> None:
    assert reopened.do(lambda work: work.orders.cancel_waiting(reopened.run.id)) == 1
    assert reopened.kinds(0)[-3:] == [STEP_CANCELLED, STEP_CANCELLED, ORDER_CANCELLED]
    assert {event.epoch for event in reopened.events(0)[-3:]} == {1}
    assert reopened.parked() == {} and reopened.waiting() == 0


def test_steps_on_other_queues_go_on_behind_a_reopened_one(play: Play) -> None:
    split = Play(play.database, queues=("generate", "send"))
    split.acknowledge(0)
    split.publish()
    [claim] = split.claim(split.request(0, 1))
    split.finish(split.died(0, claim))
    reopen(split, *split.letters())
    split.release(REOPENED)
    split.publish()
    [claim] = split.claim(split.request(0, 1, epoch=1))
    following = OutboxEntry.of(split.job(0, position=1, epoch=1))
    steps = split.finished(0, claim).steps[:1]
    split.finish(split.finished(0, claim, steps=steps, epoch=1, following=following, order_state=None))
    split.publish()
    [claim] = split.claim(split.request(0, 2, epoch=1))
    assert claim.granted and claim.lost_starts == 0
    assert split.finish(split.finished(0, claim, epoch=1)) == [True]
    assert split.order(0).state is OrderState.COMPLETED


def test_only_open_letters_whose_orders_stand_as_they_say_are_reopened(play: Play) -> None:
    play.acknowledge(*range(4))
    letters = die(play, 0, 1, 2)
    play.do(lambda work: work.dead_letters.discard([letters[1].id]))
    assert reopen(play, letters[0], letters[0]) == {play.run.id: 1}
    assert reopen(play, *letters) == {play.run.id: 1}
    assert reopen(play, *letters) == reopen(play) == {}
    states = [play.order(number).state for number in range(4)]
    assert states == [OrderState.WAITING, OrderState.FAILED, OrderState.WAITING, OrderState.WAITING]
    assert play.parked() == {REOPENED: 2}
    assert play.kinds().count(ORDER_REOPENED) == 2


def test_letters_of_several_runs_are_reopened_together(play: Play) -> None:
    other = Play(play.database)
    for each in (play, other):
        each.acknowledge(0, 1)
    letters = [*die(play, 0, 1), *die(other, 1)]
    assert reopen(play, *letters) == {play.run.id: 2, other.run.id: 1}


def test_of_many_that_reopen_the_same_letters_at_once_one_does(play: Play) -> None:
    numbers = range(30)
    play.acknowledge(*numbers)
    letters = die(play, *numbers)
    begun = threading.Barrier(6)

    def attempt(turn: int) -> int:
        begun.wait()
        return sum(reopen(play, *(letters if turn % 2 else reversed(letters))).values())

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(attempt, range(6))) == len(numbers)
    assert play.parked() == {REOPENED: len(numbers)}
