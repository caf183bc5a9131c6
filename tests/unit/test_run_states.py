"""The run's transition table."""

from __future__ import annotations

import pytest

from app.domain.errors import Conflict
from app.domain.run import TERMINAL_RUN_STATES, TRANSITIONS, RunState, check_transition


def test_every_state_has_its_row() -> None:
    assert set(TRANSITIONS) == set(RunState)


def test_every_state_can_be_reached_from_pending() -> None:
    reached, frontier = {RunState.PENDING}, [RunState.PENDING]
    while frontier:
        for following in TRANSITIONS[frontier.pop()] - reached:
            reached.add(following)
            frontier.append(following)
    assert reached == set(RunState)


def test_every_state_that_is_not_terminal_leads_on_to_an_end() -> None:
    for state in set(RunState) - TERMINAL_RUN_STATES:
        assert TRANSITIONS[state], state


def test_a_cancelled_or_completed_run_stays_so() -> None:
    assert not TRANSITIONS[RunState.CANCELLED]
    assert not TRANSITIONS[RunState.COMPLETED]


@pytest.mark.parametrize("state", list(RunState))
def test_only_what_the_table_has_is_allowed(state: RunState) -> None:
    for following in RunState:
        if following in TRANSITIONS[state]:
            check_transition(state, following)
        else:
            with pytest.raises(Conflict, match=f"{state} can't become {following}"):
                check_transition(state, following)


def test_a_run_being_cancelled_can_only_end() -> None:
    assert TRANSITIONS[RunState.CANCELLING] == {RunState.CANCELLED, RunState.FAILED}
