"""What becomes of a claim, whatever the row, the run and the destination are like; and what parks a job."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import pytest

from app.domain.event import JOB_STARTED, STEP_PARKED
from app.domain.run import RunState, StepState
from app.domain.work import PAUSE, Claim, OutboxEntry
from app.ports import UnitOfWork
from tests.contract.database_fixtures import EXPIRED, TYPES, Play


@dataclass
class Scene:
    """One order's job, and the destination that it goes to."""

    play: Play
    destination: str

    # The job

    def claimed(self, seconds: float = 60.0) -> Claim:
        [claim] = self.play.claim(0, seconds=seconds)
        assert claim.granted
        return claim

    def abandoned(self) -> None:
        self.claimed(EXPIRED)

    def finished(self) -> None:
        self.play.finish(self.play.finished(0, self.claimed()))

    def to_be_tried_later(self) -> None:
        self.play.finish(self.play.retried(0, self.claimed(), "verdict", delay=600.0))

    def parked(self) -> None:
        self.opened()
        [claim] = self.play.claim(self.play.request(0, destination=self.destination))
        assert claim.refusal == "parked"

    def released(self, probe: bool = False) -> None:
        self.parked()
        assert len(self.play.release(self.destination, probe=probe)) == 1

    def probing(self) -> None:
        self.released(probe=True)

    def cancelled(self) -> None:
        self.play.do(lambda work: work.orders.cancel_waiting(self.play.run.id))

    # The destination

    def opened(self) -> None:
        self.play.do(lambda work: work.destinations.report(self.destination, "no such AE", misconfigured=True))

    def closed(self) -> None:
        self.play.do(lambda work: work.destinations.report(self.destination, ""))

    # The run

    def paused(self) -> None:
        self.play.move(RunState.RUNNING, RunState.PAUSED)

    def cancelling(self) -> None:
        self.play.move(RunState.CANCELLING)

    def ended(self) -> None:
        self.play.move(RunState.FAILED)


@pytest.fixture
def scene(play: Play) -> Scene:
    play.acknowledge(0)
    play.publish()
    return Scene(play, f"dicom:ARCHIVE@{uuid.uuid4()}:104")


Act = Callable[[Scene], object]
S = Scene


@pytest.mark.parametrize("redelivered", [False, True], ids=["new", "again"])
@pytest.mark.parametrize(
    ("acts", "answer", "answer_to_redelivered"),
    [
        # What happened before, and what a new message is told, and one that comes again.
        ([], "granted", "granted"),
        ([S.claimed], "taken", "granted"),
        ([S.abandoned], "granted", "granted"),
        ([S.finished], "finished", "finished"),
        ([S.cancelled], "finished", "finished"),
        ([S.to_be_tried_later], "early", "early"),
        ([S.parked], "parked", "parked"),
        ([S.ended], "finished", "finished"),
        # A destination that is away
        ([S.opened], "parked", "parked"),
        ([S.opened, S.closed], "granted", "granted"),
        ([S.released], "parked", "parked"),
        ([S.released, S.closed], "granted", "granted"),
        ([S.probing], "granted", "granted"),
        ([S.claimed, S.opened], "taken", "parked"),
        ([S.abandoned, S.opened], "parked", "parked"),
        ([S.finished, S.opened], "finished", "finished"),
        ([S.to_be_tried_later, S.opened], "early", "early"),
        # A run that is paused
        ([S.paused], "parked", "parked"),
        ([S.claimed, S.paused], "taken", "parked"),
        ([S.abandoned, S.paused], "parked", "parked"),
        ([S.finished, S.paused], "finished", "finished"),
        ([S.to_be_tried_later, S.paused], "early", "early"),
        ([S.probing, S.paused], "parked", "parked"),
        # A run that is being cancelled
        ([S.cancelling], "cancelled", "cancelled"),
        ([S.opened, S.cancelling], "cancelled", "cancelled"),
        ([S.claimed, S.cancelling], "taken", "cancelled"),
        ([S.abandoned, S.cancelling], "cancelled", "cancelled"),
        ([S.parked, S.cancelling], "parked", "parked"),
        ([S.to_be_tried_later, S.cancelling], "early", "early"),
        ([S.finished, S.cancelling], "finished", "finished"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(act.__name__ for act in value) or "ready",
)
def test_decision(scene: Scene, acts: list[Act], answer: str, answer_to_redelivered: str, redelivered: bool) -> None:
    for act in acts:
        act(scene)
    [claim] = scene.play.claim(scene.play.request(0, redelivered=redelivered, destination=scene.destination))
    assert (claim.refusal or "granted") == (answer_to_redelivered if redelivered else answer)
    assert claim.granted is (claim.refusal in (None, "cancelled"))
    states = scene.play.step_states(0)
    assert (states[1] is StepState.PARKED) is (claim.refusal == "parked")
    assert claim.granted <= (states[1] is StepState.RUNNING)
    assert sum(scene.play.parked().values()) == (claim.refusal == "parked")


# --- what a granted claim knows ---


def test_a_first_claim_knows_of_nothing(scene: Scene) -> None:
    claim = scene.claimed()
    assert (claim.attempts, claim.lost_starts, claim.crashes) == (0, 0, 0)
    assert (claim.waited_seconds, claim.is_probe) == (0.0, False)


def test_starts_of_which_nothing_was_heard_are_counted(scene: Scene) -> None:
    play = scene.play
    claims = [play.claim(play.request(0, redelivered=True))[0] for _ in range(4)]
    assert [claim.lost_starts for claim in claims] == [0, 1, 2, 3]
    play.finish(play.retried(0, claims[-1], "verdict"))
    play.publish()
    [after_verdict] = play.claim(0)
    assert (after_verdict.starts, after_verdict.lost_starts, after_verdict.attempts) == (5, 0, 1)
    play.do(lambda work: work.jobs.give_up([(play.request(0), after_verdict)]))
    [after_giving_up] = play.claim(0)
    assert (after_giving_up.starts, after_giving_up.lost_starts) == (6, 0)


def test_a_probe_knows_that_it_is_one_until_it_is_finished(scene: Scene) -> None:
    play = scene.play
    scene.probing()
    play.publish()
    request = play.request(0, destination=scene.destination)
    [claim] = play.claim(request)
    assert claim.is_probe
    play.do(lambda work: work.jobs.give_up([(request, claim)]))
    [again] = play.claim(request)
    assert again.is_probe
    play.finish(play.retried(0, again, "transport"))
    play.publish()
    assert [claim.refusal for claim in play.claim(request)] == ["parked"]


# --- parking ---


def test_a_parked_job_says_what_it_waits_for(scene: Scene) -> None:
    scene.parked()
    play = scene.play
    assert play.parked() == {scene.destination: 1}
    assert [(each.waiting_for, each.jobs) for each in play.do(lambda work: work.jobs.parked(play.run.id))] == [
        (scene.destination, 1)
    ]
    told = play.events(0)[-1]
    assert (told.kind, told.step_index, told.starts) == (STEP_PARKED, 1, 0)
    assert told.data == {"type": TYPES[1], "for": scene.destination, "reason": "no such AE"}
    assert play.step(0, 1).starts == 0 and JOB_STARTED not in play.kinds(0)


def test_a_job_of_a_paused_run_waits_for_the_end_of_the_pause(scene: Scene) -> None:
    scene.paused()
    scene.play.claim(0)
    assert scene.play.parked() == {PAUSE: 1}
    assert scene.play.events(0)[-1].data == {"type": TYPES[1], "for": PAUSE, "reason": "the run is paused"}


def test_parking_again_without_a_start_in_between_is_told_once(scene: Scene) -> None:
    scene.released()
    scene.play.publish()
    request = scene.play.request(0, destination=scene.destination)
    assert [claim.refusal for claim in scene.play.claim(request)] == ["parked"]
    assert scene.play.parked() == {scene.destination: 1}
    assert scene.play.kinds(0).count(STEP_PARKED) == 1


def test_a_lost_job_that_is_parked_fences_its_worker_off(scene: Scene) -> None:
    claim = scene.claimed()
    scene.opened()
    request = scene.play.request(0, redelivered=True, destination=scene.destination)
    assert [claim.refusal for claim in scene.play.claim(request)] == ["parked"]
    assert scene.play.finish(scene.play.finished(0, claim)) == [False]
    assert scene.play.step_states(0) == [StepState.SUCCEEDED, StepState.PARKED, StepState.PENDING]


def test_a_group_of_which_some_are_parked(play: Play) -> None:
    away, there = (f"dicom:ARCHIVE@{uuid.uuid4()}:104" for _ in range(2))
    play.do(lambda work: work.destinations.report(away, "refused", misconfigured=True))
    play.acknowledge(*range(4))
    requests = [play.request(number, destination=key) for number, key in enumerate((away, there, away, ""))]
    claims = play.claim(*requests, requests[0], requests[1])
    assert [claim.refusal for claim in claims] == ["parked", None, "parked", None, "parked", "taken"]
    assert play.parked() == {away: 2}


# --- releasing ---


def test_released_jobs_are_ready_and_the_oldest_come_first(play: Play) -> None:
    play.acknowledge(*range(5))
    play.publish()
    play.move(RunState.RUNNING, RunState.PAUSED)
    play.claim(3)
    time.sleep(0.002)  # SQLite's clock has milliseconds
    play.claim(0, 1, 4)
    play.move(RunState.RUNNING)
    assert [each.order_number for each in play.release(PAUSE, limit=2)] == [3, 0]
    assert play.parked() == {PAUSE: 2}
    assert [play.step(number, 1).state for number in (3, 0, 1)] == [StepState.READY, StepState.READY, StepState.PARKED]
    [one, four] = play.release(PAUSE)
    assert (one.order_number, one.step_index, one.epoch, one.starts) == (1, 1, 0, 0)
    assert four.order_number == 4 and play.parked() == {}
    assert play.release(PAUSE) == [] == play.release("dicom:NOBODY@nowhere:1")
    assert sorted(play.publish()) == [0, 1, 3, 4]
    assert all(claim.granted for claim in play.claim(*range(5)))


def test_a_group_of_several_runs_and_destinations_is_answered_one_by_one(play: Play) -> None:
    other = Play(play.database)
    for each in (play, other):
        each.acknowledge(0, 1)
    other.move(RunState.RUNNING, RunState.PAUSED)
    for away in ("dicom:A@away:104", "dicom:B@away:104"):
        play.do(partial(report_away, away))
    requests = [
        play.request(0, destination="dicom:A@away:104"),
        play.request(1, destination="dicom:C@there:104"),
        replace(play.request(1), run_id=str(uuid.uuid4())),
        other.request(0, destination="dicom:B@away:104"),
        other.request(1),
    ]
    claims = play.claim(*requests)
    assert [claim.refusal for claim in claims] == ["parked", None, "unknown", "parked", "parked"]
    assert (play.parked(), other.parked()) == ({"dicom:A@away:104": 1}, {PAUSE: 2})


def report_away(key: str, work: UnitOfWork) -> None:
    work.destinations.report(key, "refused", misconfigured=True)


def test_a_release_is_of_one_run(play: Play) -> None:
    other = Play(play.database)
    for each in (play, other):
        each.acknowledge(0)
        each.move(RunState.RUNNING, RunState.PAUSED)
        each.claim(0)
    assert len(play.release(PAUSE)) == 1
    assert other.parked() == {PAUSE: 1}


def test_the_time_in_the_park_is_no_time_in_the_queue(scene: Scene) -> None:
    scene.parked()
    before = scene.play.step(0, 1).ready_at
    scene.play.release(scene.destination)
    after = scene.play.step(0, 1).ready_at
    assert before is not None and after is not None and after > before


def test_a_cancel_takes_parked_jobs_with_it(scene: Scene) -> None:
    scene.parked()
    scene.cancelling()
    scene.cancelled()
    assert scene.play.parked() == {}
    assert scene.play.step_states(0) == [StepState.SUCCEEDED, StepState.CANCELLED, StepState.CANCELLED]


def test_a_parked_job_that_is_released_once_more_is_queued_as_another_event_once_it_was_started(scene: Scene) -> None:
    """Every message has an event of its own for each start that it led to."""
    play = scene.play
    scene.claimed(EXPIRED)
    scene.opened()
    play.claim(play.request(0, destination=scene.destination))
    scene.closed()
    [released] = play.release(scene.destination)
    assert released.starts == 1
    play.do(lambda work: work.outbox.put([OutboxEntry.of(play.job(0), starts=1)]))  # and once more by a sweeper
    play.publish()
    assert [event.starts for event in play.events(0) if event.kind == "job.queued"] == [0, 1]
