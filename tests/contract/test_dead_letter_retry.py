"""Retrying and discarding dead letters: what each run allows, and that nothing is done by halves."""

from __future__ import annotations

import pytest

from app.domain.errors import NotFound
from app.domain.run import OrderState, RunState
from app.domain.template import Step, Template
from app.domain.work import REOPENED, DeadLetterFilter, DeadLetterSelection, Death, NewDeadLetter
from app.runs.producing.conclude import end_run
from app.runs.producing.reconcile import Reconciliation
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold
from app.runs.tending.dead_letters import Discard, Retry, discard, retry
from tests.contract.database_fixtures import Play

WAY = (RunState.RUNNING, RunState.WAITING_ON_WORKERS, RunState.RECONCILING)


def dead(play: Play, *numbers: int) -> list[int]:
    """Have the jobs of these orders die; their letters' ids by number."""
    play.acknowledge(*numbers)
    play.publish()
    play.finish(*(play.died(n, claim) for n, claim in zip(numbers, play.claim(*numbers), strict=True)))
    letters = {letter.order_number: letter.id for letter in play.letters()}
    return [letters[number] for number in numbers]


def retried(play: Play, *ids: int) -> Retry:
    return play.do(lambda work: retry(work, DeadLetterSelection(ids)))


def discarded(play: Play, *ids: int) -> Discard:
    return play.do(lambda work: discard(work, DeadLetterSelection(ids)))


def run_of(play: Play) -> tuple[RunState, int]:
    run = play.do(lambda work: work.runs.get(play.run.id))
    return run.state, run.epoch


@pytest.mark.parametrize("states", [WAY[:1], WAY[:2], (*WAY[:1], RunState.PAUSED)], ids=str)
def test_a_run_that_goes_on_gets_its_jobs_back_and_nothing_else_changes(
    play: Play,
    states: tuple[RunState, ...],
) -> None:
    ids = dead(play, 0, 1)
    play.move(*states)
    (run,) = retried(play, *ids).runs
    assert (run.run.id, run.jobs, run.reopened) == (play.run.id, 2, False)
    assert run_of(play) == (states[-1], 0)
    assert play.counts() == {OrderState.WAITING: 2}
    assert play.parked() == {REOPENED: 2}


@pytest.mark.parametrize("end", [RunState.COMPLETED_WITH_ERRORS, RunState.FAILED])
def test_a_run_that_ended_with_errors_is_reopened(play: Play, end: RunState) -> None:
    first, second = dead(play, 0, 1)
    play.move(*WAY, end)
    (run,) = retried(play, first).runs
    assert (run.jobs, run.reopened, run.run.epoch) == (1, True, 1)
    assert run_of(play) == (RunState.WAITING_ON_WORKERS, 1)
    (run,) = retried(play, second).runs
    assert (run.jobs, run.reopened, run.run.epoch) == (1, False, 1)


@pytest.mark.parametrize(
    ("states", "why"),
    [
        (WAY, "is being reconciled: try again when it has ended"),
        ((*WAY, RunState.COMPLETED), "is COMPLETED"),
        ((RunState.CANCELLING,), "was cancelled"),
        ((RunState.CANCELLING, RunState.CANCELLED), "was cancelled"),
    ],
    ids=lambda given: given[-1] if isinstance(given, tuple) else "",
)
def test_any_other_run_refuses_and_stays_as_it_is(
    play: Play,
    states: tuple[RunState, ...],
    why: str,
) -> None:
    ids = dead(play, 0, 1)
    play.move(*states)
    outcome = retried(play, *ids)
    assert outcome.runs == ()
    assert {refusal.id: refusal.reason for refusal in outcome.refused} == dict.fromkeys(
        ids, f"run {play.run.run_key} {why}"
    )
    assert run_of(play) == (states[-1], 0)
    assert play.counts() == {OrderState.FAILED: 2}
    assert {letter.state for letter in play.letters()} == {"OPEN"}


def test_retrying_again_does_nothing(play: Play) -> None:
    ids = dead(play, 0)
    play.move(*WAY, RunState.FAILED)
    assert len(retried(play, *ids, *ids).runs) == 1
    assert retried(play, *ids) == Retry((), ())
    assert run_of(play) == (RunState.WAITING_ON_WORKERS, 1)


def test_a_letter_that_is_not_there_has_nothing_done(play: Play) -> None:
    ids = dead(play, 0)
    with pytest.raises(NotFound, match=str(2**40)):
        retried(play, *ids, 2**40)
    with pytest.raises(NotFound, match=str(2**40)):
        discarded(play, *ids, 2**40)
    assert {letter.state for letter in play.letters()} == {"OPEN"}


def test_letters_are_selected_by_run_and_reason_and_the_oldest_come_first(play: Play) -> None:
    other = Play(play.database)
    for each in (play, other):
        each.move(RunState.RUNNING)
        dead(each, 0, 1, 2)
    wanted = DeadLetterFilter(run=play.run.run_key, search="NO GOOD")
    assert play.do(lambda work: retry(work, DeadLetterSelection(wanted=wanted, limit=2))).runs[0].jobs == 2
    assert [letter.order_number for letter in play.letters(state="OPEN")] == [2]
    assert len(other.letters(state="OPEN")) == 3
    nothing = DeadLetterFilter(run=play.run.id, kind="crashed")
    assert play.do(lambda work: retry(work, DeadLetterSelection(wanted=nothing))) == Retry((), ())
    with pytest.raises(NotFound, match="NOSUCHRN"):
        play.do(lambda work: retry(work, DeadLetterSelection(wanted=DeadLetterFilter(run="NOSUCHRN"))))


def test_runs_are_judged_one_by_one(play: Play) -> None:
    other = Play(play.database)
    ids = [*dead(play, 0), *dead(other, 0)]
    play.move(*WAY, RunState.FAILED)
    other.move(*WAY, RunState.COMPLETED)
    outcome = retried(play, *ids)
    assert [run.run.id for run in outcome.runs] == [play.run.id]
    assert [refusal.id for refusal in outcome.refused] == ids[1:]


def test_a_message_that_was_no_job_can_only_be_discarded(play: Play) -> None:
    letter = NewDeadLetter("jobs", f"of-{play.run.id}", "{", Death("not_a_job", f"not JSON {play.run.id}"), "w1")
    play.do(lambda work: work.dead_letters.add([letter]))
    (id_,) = play.do(lambda work: work.dead_letters.matching(DeadLetterFilter(search=play.run.id), 10))
    (refusal,) = retried(play, id_).refused
    assert "is no job" in refusal.reason
    assert discarded(play, id_) == Discard(1, ())


def test_a_discarded_letter_stays_so(play: Play) -> None:
    play.move(RunState.RUNNING)
    first, second = dead(play, 0, 1)
    assert discarded(play, first) == Discard(1, ())
    assert discarded(play, first) == Discard(0, ())
    assert [refusal.reason for refusal in retried(play, first).refused] == ["it was discarded"]
    retried(play, second)
    assert [refusal.reason for refusal in discarded(play, second).refused] == ["its job was tried again"]
    assert play.counts() == {OrderState.FAILED: 1, OrderState.WAITING: 1}


def test_a_run_that_never_sent_all_its_orders_can_not_be_mended(play: Play) -> None:
    """Reopened, it sends none: what is missing would be forgotten if it could become COMPLETED."""
    (id_,) = dead(play, 0)
    play.move(*WAY[:2], RunState.FAILED)
    retried(play, id_)
    play.release(REOPENED)
    play.publish()
    (claim,) = play.claim(play.request(0, epoch=1))
    play.finish(play.finished(0, claim, epoch=1))
    play.move(RunState.RECONCILING)
    template = Template(name="test", steps=[Step(type="GENERATE_HL7")])
    ended = play.do(lambda work: end_run(work, play.run.id, template, Folds(ProgressFold(9)), Reconciliation()))
    assert (ended.state, ended.reason) == (RunState.FAILED, f"{play.run.requested - 1} orders were never sent")
