"""What follows from how a step failed: attempts, patience, delays, and when a job is dead."""

from __future__ import annotations

import pytest

from app.domain.errors import (
    InvalidInput,
    NotFound,
    OutcomeUnknown,
    PermanentError,
    Problem,
    TemporaryError,
    TransportFault,
    Unavailable,
)
from app.domain.retry import RetryPolicy
from app.domain.work import Death, DestinationReport
from app.runs.working.consequences import MAX_TEXT, MAX_TRACEBACK, Again, after_crash, defect, report_on, what_follows

POLICY = RetryPolicy(max_attempts=4, first_delay=3.0, factor=3.0, cap=100.0, patience=60.0)

CASES: list[tuple[str, BaseException, int, float, Again | Death]] = [
    ("a first verdict: the first delay, rounded up", TemporaryError("no"), 0, 0.0, Again("verdict", 4.0)),
    ("the second one: times the factor", TemporaryError("no"), 1, 0.0, Again("verdict", 30.0)),
    ("the third one: no more than the cap", TemporaryError("no"), 2, 0.0, Again("verdict", 30.0)),
    ("the last one", TemporaryError("no"), 3, 0.0, Death("exhausted", "no (attempt 4 of 4)")),
    ("a verdict after a long wait for one", TemporaryError("no"), 0, 1e6, Again("verdict", 4.0)),
    ("a fault", TransportFault("away"), 0, 0.0, Again("transport", 1.0)),
    ("a fault costs no attempt", TransportFault("away"), 3, 59.9, Again("transport", 1.0)),
    ("an unknown outcome is a fault", OutcomeUnknown("lost"), 3, 0.0, Again("transport", 1.0)),
    ("a service that is away, too", Unavailable("away"), 3, 0.0, Again("transport", 1.0)),
    (
        "a fault when the patience is over",
        TransportFault("away"),
        0,
        60.0,
        Death("exhausted", "away (no verdict for 60 s, and the step's patience is 60 s)"),
    ),
    ("a refusal for good", PermanentError("never"), 0, 0.0, Death("permanent", "never")),
    ("an error of ours that says what to do", NotFound("no study"), 0, 0.0, Death("permanent", "no study")),
    ("wrong parameters", InvalidInput(Problem("x", "odd", "mend it")), 0, 0.0, Death("permanent", "x: odd (mend it)")),
    (
        "too little memory may be more later",
        MemoryError(),
        0,
        0.0,
        Again("verdict", 4.0),
    ),
]


@pytest.mark.parametrize(("error", "attempts", "waited", "follows"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_follows(error: BaseException, attempts: int, waited: float, follows: Again | Death) -> None:
    assert what_follows(error, POLICY, attempts, waited) == follows


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), KeyError("x"), SystemExit(3)])
def test_anything_else_is_a_defect_with_its_place(error: BaseException) -> None:
    try:
        raise error
    except (Exception, SystemExit) as raised:
        death = what_follows(raised, POLICY, 0, 0.0)
    assert isinstance(death, Death)
    assert (death.kind, death.reason) == ("defect", f"defect: {error!r}")
    assert "test_consequences.py" in death.traceback


def test_a_defect_is_kept_bounded_and_without_passwords() -> None:
    def deep(depth: int) -> None:
        if not depth:
            raise ValueError(f"amqp://guest:secret@host/ {'x' * 3 * MAX_TRACEBACK}")
        deep(depth - 1)

    try:
        deep(3)
    except ValueError as error:
        death = defect(error)
    assert len(death.reason) <= MAX_TEXT
    assert len(death.traceback) <= MAX_TRACEBACK + 4
    assert "secret" not in death.reason + death.traceback
    assert "amqp://***@host" in death.reason


def test_a_crash_is_tried_again_later_each_time_and_the_third_one_is_the_last() -> None:
    assert after_crash("its process ended by SIGKILL", 0) == Again("crash", 1.0)
    assert after_crash("its process ended by SIGKILL", 1) == Again("crash", 2.0)
    last = after_crash("its process ended by SIGKILL", 2)
    assert last == Death("crashed", "its process ended by SIGKILL; it ended 3 processes of its own")


REPORTS: list[tuple[str, BaseException | None, DestinationReport | None]] = [
    ("success is an answer", None, DestinationReport("k", is_probe=True)),
    ("so is a refusal", PermanentError("never"), DestinationReport("k", is_probe=True)),
    ("and one for now", TemporaryError("0xC000"), DestinationReport("k", is_probe=True)),
    ("a fault", TransportFault("away"), DestinationReport("k", "away", is_probe=True)),
    ("a rejection for good", TransportFault("no", misconfigured=True), DestinationReport("k", "no", True, True)),
    ("a defect says nothing of it", ZeroDivisionError(), None),
    ("nor does another service that is away", Unavailable("database"), None),
]


@pytest.mark.parametrize(("error", "report"), [case[1:] for case in REPORTS], ids=[case[0] for case in REPORTS])
def test_what_a_step_learns_about_its_destination(
    error: BaseException | None, report: DestinationReport | None
) -> None:
    assert report_on("k", error, is_probe=True) == report
