"""Dead letters: having their jobs tried again, and settling those that nobody wants any more.

A retry takes the letters run by run. A run that goes on gets its jobs back at once; one that has ended with errors is
reopened at its next epoch, and waits for a producer then. A run that is about to end, or has ended in another way,
takes none of its letters back: they are refused, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from app.domain.errors import NotFound
from app.domain.run import Run, RunState
from app.domain.work import DeadLetterRow, DeadLetterSelection, DeadLetterState
from app.ports import UnitOfWork

_GOING_ON = (RunState.RUNNING, RunState.WAITING_ON_WORKERS, RunState.PAUSED)
_ENDED_WITH_ERRORS = (RunState.COMPLETED_WITH_ERRORS, RunState.FAILED)


@dataclass(frozen=True, slots=True)
class RetriedRun:
    """A run that got jobs back; ``reopened``: it had ended, and waits for a producer now."""

    run: Run
    jobs: int
    reopened: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """A letter that was left as it is, and why."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Retry:
    """What came of a retry; letters that had been retried before are in neither list."""

    runs: tuple[RetriedRun, ...]
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Discard:
    """What came of discarding; letters that had been discarded before are in neither of the two."""

    letters: int
    refused: tuple[Refusal, ...]


def retry(work: UnitOfWork, selection: DeadLetterSelection) -> Retry:
    """Try the jobs of these letters again.

    Raises:
        NotFound: one of the letters, or the run that they are selected by, does not exist.
    """
    letters = _letters(work, selection)
    refused = [Refusal(letter.id, reason) for letter in letters if (reason := _why_not_again(letter))]
    open_ = [letter for letter in letters if letter.state is DeadLetterState.OPEN and letter.run_id is not None]
    retried = []
    # Runs are locked in one order, so that two requests can't wait for each other.
    for run_id, group in groupby(sorted(open_, key=_run_id), _run_id):
        ids = [letter.id for letter in group]
        outcome = _retry_in_run(work, run_id, ids)
        if isinstance(outcome, str):
            refused += [Refusal(id_, outcome) for id_ in ids]
        elif outcome is not None:
            retried.append(outcome)
    return Retry(tuple(retried), tuple(refused))


def discard(work: UnitOfWork, selection: DeadLetterSelection) -> Discard:
    """Settle these letters; their orders stay FAILED. Raises NotFound as :func:`retry` does."""
    letters = _letters(work, selection)
    refused = [
        Refusal(letter.id, "its job was tried again") for letter in letters if letter.state is DeadLetterState.RETRIED
    ]
    open_ = [letter.id for letter in letters if letter.state is DeadLetterState.OPEN]
    return Discard(work.dead_letters.discard(open_), tuple(refused))


def _letters(work: UnitOfWork, selection: DeadLetterSelection) -> list[DeadLetterRow]:
    ids: Iterable[int] = dict.fromkeys(selection.ids)
    if not ids:
        if selection.wanted.run is not None:
            work.runs.get(selection.wanted.run)  # a mistyped run is said to be that, not to have no letters
        ids = work.dead_letters.matching(selection.wanted, selection.limit)
    return [work.dead_letters.get(id_) for id_ in ids]


def _run_id(letter: DeadLetterRow) -> str:
    return letter.run_id or ""


def _why_not_again(letter: DeadLetterRow) -> str:
    if letter.state is DeadLetterState.DISCARDED:
        return "it was discarded"
    if letter.state is DeadLetterState.OPEN and letter.run_id is None:
        return "its message is no job of a run; look at its body, then discard it"
    return ""


def _retry_in_run(work: UnitOfWork, run_id: str, ids: list[int]) -> RetriedRun | str | None:
    """What came of it, or why nothing did; None when others were faster."""
    try:
        run = work.runs.get(run_id, lock=True)
    except NotFound:
        return "its run was deleted"
    if run.state not in _GOING_ON + _ENDED_WITH_ERRORS:
        return _refusal(run)
    jobs = work.dead_letters.reopen(ids).get(run_id, 0)
    if not jobs:
        return None
    reopened = run.state in _ENDED_WITH_ERRORS
    if reopened:
        run = work.runs.reopen(run_id, f"{jobs} dead letters are tried again")
    return RetriedRun(run, jobs, reopened)


def _refusal(run: Run) -> str:
    match run.state:
        case RunState.CANCELLING | RunState.CANCELLED:
            return f"run {run.run_key} was cancelled"
        case RunState.RECONCILING:
            return f"run {run.run_key} is being reconciled: try again when it has ended"
        case _:
            return f"run {run.run_key} is {run.state}"
