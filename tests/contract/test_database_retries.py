"""Jobs that are tried again: what each cause costs, when they are due, and that every event keeps a key of its own."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine, select, update

from app.adapters.database.tables import step_executions
from app.domain.event import JOB_FINISHED, JOB_QUEUED, JOB_STARTED, STEP_RETRIED, STEP_SUCCEEDED, TERMINAL_ORDER_KINDS
from app.domain.run import OrderState, StepState
from app.domain.work import Claim, DestinationReport, DestinationState, OutboxEntry, RetryCause
from tests.contract.database_fixtures import TYPES, Play, outcome


@pytest.fixture
def one(play: Play) -> Play:
    play.acknowledge(0)
    play.publish()
    return play


def tried(play: Play, *causes: RetryCause) -> Claim:
    """The claim after the job was tried so often, and ended so."""
    [claim] = play.claim(0)
    for cause in causes:
        assert play.finish(play.retried(0, claim, cause)) == [True]
        assert play.publish() == [0]
        [claim] = play.claim(0)
        assert claim.granted
    return claim


def waiting_since(play: Play, engine: Engine) -> datetime | None:
    c = step_executions.c
    with engine.connect() as connection:
        statement = select(c.waiting_since).where(c.run_id == play.run.id, c.step_index == 1)
        since: datetime | None = connection.execute(statement).scalar_one()
    return since


# --- what each cause costs ---


@pytest.mark.parametrize(
    ("causes", "attempts", "lost_starts", "crashes", "waits"),
    [
        (["verdict"], 1, 0, 0, False),
        (["transport"], 0, 0, 0, True),
        (["crash"], 0, 1, 1, False),
        (["verdict", "verdict"], 2, 0, 0, False),
        (["transport", "transport"], 0, 0, 0, True),
        (["crash", "crash"], 0, 2, 2, False),
        (["transport", "verdict"], 1, 0, 0, False),
        (["verdict", "transport"], 1, 0, 0, True),
        (["crash", "verdict"], 1, 0, 0, False),
        (["crash", "transport"], 0, 1, 1, True),
        (["transport", "crash"], 0, 1, 1, True),
        (["crash", "transport", "crash", "verdict", "transport", "crash"], 1, 1, 1, True),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_what_a_job_has_behind_it(
    one: Play, engine: Engine, causes: list[RetryCause], attempts: int, lost_starts: int, crashes: int, waits: bool
) -> None:
    claim = tried(one, *causes)
    assert (claim.attempts, claim.lost_starts, claim.crashes) == (attempts, lost_starts, crashes)
    assert (waiting_since(one, engine) is not None) is waits
    assert claim.starts == len(causes) + 1


def test_the_wait_counts_from_the_first_transport_fault_on(one: Play, engine: Engine) -> None:
    claim = tried(one, "transport")
    first = waiting_since(one, engine)
    assert first is not None
    causes: list[RetryCause] = ["transport", "crash", "transport"]
    for cause in causes:
        one.finish(one.retried(0, claim, cause))
        assert waiting_since(one, engine) == first
        one.publish()
        [claim] = one.claim(0)
    with engine.begin() as connection:
        c = step_executions.c
        values = {"waiting_since": first - timedelta(minutes=5)}
        connection.execute(update(step_executions).where(c.run_id == one.run.id, c.step_index == 1).values(**values))
    [claim] = one.claim(one.request(0, redelivered=True))
    assert 300 <= claim.waited_seconds < 360
    one.finish(one.retried(0, claim, "verdict"))
    assert waiting_since(one, engine) is None


# --- what is written ---


def test_a_retried_step_is_ready_again_and_says_why(one: Play) -> None:
    [claim] = one.claim(0, worker="w1")
    assert one.finish(one.retried(0, claim, "transport", delay=600.0)) == [True]
    step, order = one.step(0, 1), one.order(0)
    assert (step.state, step.starts, step.attempt, step.error) == (StepState.READY, 1, 0, "a transport")
    assert step.finished_at is None and step.ready_at is not None
    assert (order.state, order.finished_at) == (OrderState.WAITING, None)
    retried, finished = one.events(0)[-2:]
    assert (retried.kind, retried.step_index, retried.starts) == (STEP_RETRIED, 1, 1)
    assert retried.data == {
        "type": TYPES[1],
        "seconds": 0.25,
        "reason": "a transport",
        "cause": "transport",
        "delay_seconds": 600.0,
    }
    assert (finished.kind, finished.data["outcome"]) == (JOB_FINISHED, "retried")
    assert not set(one.kinds(0)) & set(TERMINAL_ORDER_KINDS)
    assert one.publish() == [] and one.waiting() == 1  # due in ten minutes, and not before
    assert [claim.refusal for claim in one.claim(0)] == ["early"]


def test_the_step_behind_is_tried_again_and_not_the_one_that_succeeded(one: Play) -> None:
    [first] = one.claim(0)
    assert one.finish(one.retried(0, first, "verdict", done=1)) == [True]
    assert one.step_states(0) == [StepState.SUCCEEDED, StepState.SUCCEEDED, StepState.READY]
    assert one.publish() == [0]
    [second] = one.claim(one.request(0, 2))
    assert (second.head, second.starts, second.attempts, second.lost_starts) == (2, 2, 1, 0)
    assert one.finish(one.retried(0, second, "transport")) == [True]
    one.publish()
    [third] = one.claim(one.request(0, 2))
    assert one.finish(one.finished(0, third)) == [True]
    assert one.order(0).state is OrderState.COMPLETED
    started = [(event.step_index, event.starts) for event in one.events(0) if event.kind == JOB_STARTED]
    assert started == [(1, 1), (2, 2), (2, 3)]
    queued = [(event.step_index, event.starts) for event in one.events(0) if event.kind == JOB_QUEUED]
    assert queued == [(1, 0), (2, 1), (2, 2)]


def test_a_crash_at_the_step_behind_counts_as_one_lost_start(one: Play) -> None:
    one.claim(0)
    [claim] = one.claim(one.request(0, redelivered=True))
    one.finish(one.retried(0, claim, "crash", done=1))
    one.publish()
    [again] = one.claim(one.request(0, 2))
    assert (again.starts, again.lost_starts, again.crashes) == (3, 1, 1)


def test_every_event_of_a_job_that_is_tried_twenty_times_has_a_key_of_its_own(one: Play) -> None:
    causes: list[RetryCause] = ["transport", "verdict", "crash", "transport"] * 5
    claim = tried(one, *causes)
    one.finish(one.finished(0, claim))
    keys = [(event.step_index, event.kind, event.starts) for event in one.events(0) if event.step_index is not None]
    assert len(keys) == len(set(keys))
    kinds = one.kinds(0)
    assert [kinds.count(kind) for kind in (JOB_QUEUED, JOB_STARTED, STEP_RETRIED, JOB_FINISHED)] == [21, 21, 20, 21]
    assert kinds.count(STEP_SUCCEEDED) == 3


def test_a_job_that_failed_at_last_was_settled(one: Play, engine: Engine) -> None:
    claim = tried(one, "crash")
    one.finish(one.died(0, claim))
    c = step_executions.c
    with engine.connect() as connection:
        rows = connection.execute(
            select(c.starts, c.settled_starts, c.crashes).where(c.run_id == one.run.id).order_by(c.step_index)
        ).all()
    assert [tuple(row) for row in rows] == [(1, 0, 0), (2, 2, 1), (2, 2, 0)]


# --- commits whose answer was lost, and fences ---


def test_a_retry_whose_commit_got_no_answer_is_written_once(one: Play) -> None:
    [claim] = one.claim(0)
    finish = one.retried(0, claim, "verdict", destination=DestinationReport(f"hl7:{uuid.uuid4()}:1", "away"))
    assert one.finish(finish) == [True]
    before = one.step(0, 1), one.events(0), one.waiting()
    assert one.finish(finish) == [True]
    assert (one.step(0, 1), one.events(0), one.waiting()) == before
    assert finish.destination is not None
    key = finish.destination.key
    [row] = [row for row in one.database.queries.destinations() if row.key == key]
    assert row.faults == 1


def test_a_death_whose_commit_got_no_answer_is_written_once(one: Play) -> None:
    [claim] = one.claim(0)
    finish = one.died(0, claim)
    assert one.finish(finish) == one.finish(finish) == [True]
    assert len(one.letters()) == 1


def test_a_group_of_which_a_part_was_written_before(play: Play) -> None:
    play.acknowledge(0, 1, 2)
    claims = play.claim(0, 1, 2)
    first = play.finished(0, claims[0])
    play.finish(first)
    play.claim(play.request(2, redelivered=True))
    assert play.finish(play.finished(2, claims[2]), first, play.finished(1, claims[1])) == [False, True, True]
    assert play.order(2).state is OrderState.WAITING


def test_once_somebody_else_has_claimed_it_again_the_fence_is_theirs(one: Play) -> None:
    [first] = one.claim(0)
    finish = one.retried(0, first, "verdict")
    one.finish(finish)
    one.publish()
    [second] = one.claim(0)
    before = one.events(0)
    assert one.finish(finish) == [False]
    assert one.finish(replace(finish, steps=(outcome(1, TYPES[1]),))) == [False]
    assert one.events(0) == before
    assert one.finish(one.finished(0, second)) == [True]


def test_a_claim_that_was_given_up_is_nobodys(one: Play) -> None:
    [claim] = one.claim(0)
    one.do(lambda work: work.jobs.give_up([(one.request(0), claim)]))
    assert one.finish(one.finished(0, claim)) == [False]


# --- what a group says of destinations ---


def test_a_group_reports_what_it_learnt_of_its_destinations(play: Play) -> None:
    away, well, configured, back = (f"dicom:A@{uuid.uuid4()}:104" for _ in range(4))
    play.acknowledge(*range(20))
    claims = iter(play.claim(*range(20)))
    reports = [
        *[DestinationReport(away, f"refused {count}") for count in range(6)],
        *[DestinationReport(well, "reset"), DestinationReport(well), DestinationReport(well, "reset again")],
        DestinationReport(configured, "called AE title not recognized", misconfigured=True),
        *[DestinationReport(back, "reset")] * 7,
        DestinationReport(back),
    ]
    finishes = []
    for number, report in enumerate(reports):
        claim = next(claims)
        cause: RetryCause = "transport" if report.fault else "verdict"
        finishes.append(play.retried(number, claim, cause, destination=report))
    assert all(play.finish(*finishes))
    known = {row.key: row for row in play.database.queries.destinations()}
    assert (known[away].state, known[away].faults, known[away].reason) == (DestinationState.OPEN, 6, "refused 5")
    assert (known[well].state, known[well].faults) == (DestinationState.CLOSED, 1)
    assert (known[configured].state, known[configured].faults) == (DestinationState.OPEN, 1)
    assert back not in known  # answered in the end: nothing is held against it


def test_a_probe_that_is_answered_closes_its_destination(one: Play) -> None:
    key = f"dicom:A@{uuid.uuid4()}:104"
    one.do(lambda work: work.destinations.report(key, "refused", misconfigured=True))
    request = one.request(0, destination=key)
    one.claim(request)
    one.release(key, probe=True)
    one.publish()
    [claim] = one.claim(request)
    one.finish(one.finished(0, claim, destination=DestinationReport(key, is_probe=True)))
    [row] = [row for row in one.database.queries.destinations() if row.key == key]
    assert (row.state, row.faults, row.reason, row.next_probe_at) == (DestinationState.CLOSED, 0, "", None)


def test_what_follows_elsewhere_is_ready_as_before(one: Play) -> None:
    split = Play(one.database, queues=("generate", "send"))
    split.acknowledge(0)
    split.publish()
    [claim] = split.claim(split.request(0, 1))
    split.finish(split.retried(0, claim, "verdict"))
    split.publish()
    [claim] = split.claim(split.request(0, 1))
    following = OutboxEntry.of(split.job(0, position=1))
    split.finish(split.finished(0, claim, steps=(outcome(1, TYPES[1]),), following=following, order_state=None))
    split.publish()
    [claim] = split.claim(split.request(0, 2))
    assert (claim.starts, claim.attempts, claim.lost_starts) == (1, 0, 0)
    assert split.finish(split.finished(0, claim)) == [True]
