"""One dead letter with everything that is known of it, gathered from its row and its order's events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.api.admin_views import AttemptView, DeadLetterDetailView, DeadLetterView, Outcome
from app.domain import event as kinds
from app.domain.event import Event, RecordedEvent
from app.ports import Database

MAX_EVENTS = 1000  # of one order
_WITHOUT_A_START: dict[str, Outcome] = {kinds.STEP_PARKED: "parked", kinds.STEP_REOPENED: "reopened"}


def dead_letter_detail(database: Database, id_: int) -> DeadLetterDetailView:
    """The letter and the history of its job. Raises NotFound."""
    with database.transaction() as work:
        letter = work.dead_letters.get(id_)
    history: list[AttemptView] = []
    if letter.run_id is not None and letter.order_number is not None:
        events, _ = database.feed.read(letter.run_id, None, MAX_EVENTS, letter.order_number)
        history = attempts(events)
    known = DeadLetterView.model_validate(letter).model_dump()
    return DeadLetterDetailView(**known, body=letter.body, traceback=letter.traceback, history=history)


def attempts(events: Iterable[RecordedEvent]) -> list[AttemptView]:
    """What became of an order's jobs: an entry for each start, and for each time that one was parked or reopened."""
    history: list[AttemptView] = []
    for recorded in events:
        event = recorded.event
        if event.kind == kinds.JOB_STARTED:
            history.append(_entry(recorded, worker=event.data["worker"]))
        elif event.kind in _WITHOUT_A_START:
            history.append(_entry(recorded, outcome=_WITHOUT_A_START[event.kind]))
        elif news := _news(recorded):
            _add(history, event, news)
    return history


def _entry(recorded: RecordedEvent, worker: str | None = None, outcome: Outcome | None = None) -> AttemptView:
    event = recorded.event
    return AttemptView(
        at=recorded.at,
        epoch=event.epoch,
        step_index=event.step_index or 0,
        starts=event.starts,
        worker=worker,
        outcome=outcome,
        reason=event.data.get("reason", ""),
    )


def _news(recorded: RecordedEvent) -> dict[str, Any]:
    """What an event adds to the entry of the start under which it was written."""
    data = recorded.event.data
    match recorded.event.kind:
        case kinds.STEP_RETRIED:
            return {name: data.get(name) for name in ("reason", "cause", "delay_seconds")}
        case kinds.STEP_FAILED:
            return {"reason": data.get("reason", "")}
        case kinds.JOB_FINISHED:
            return {"outcome": data["outcome"], "ended_at": recorded.at}
    return {}


def _add(history: list[AttemptView], event: Event, news: dict[str, Any]) -> None:
    for position in reversed(range(len(history))):
        entry = history[position]
        if entry.worker is not None and (entry.epoch, entry.starts) == (event.epoch, event.starts):
            history[position] = entry.model_copy(update=news)
            return
