"""The journal: every event once, whatever is in it."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from app.domain.event import (
    JOB_STARTED,
    ORDER_COMPLETED,
    ORDER_FAILED,
    RUN_NOTE,
    STEP_FAILED,
    STEP_SUCCEEDED,
    Event,
)
from app.domain.work import Finding
from tests.contract.database_fixtures import Play


def append(play: Play, *events: Event) -> None:
    with play.database.transaction() as work:
        work.journal.append(events)


def test_events_come_back_as_they_were_written(play: Play) -> None:
    written = [
        Event(play.run.id, RUN_NOTE, data={"text": "Grüße, 'quoted' \"twice\" 100 % \\ \n \U0001f4a9"}),
        Event(play.run.id, JOB_STARTED, 7, 1, 2, 3, {"worker": "w", "nested": {"list": [1, 2.5, None, True, "x"]}}),
        Event(play.run.id, ORDER_COMPLETED, 7),
    ]
    append(play, *written)
    append(play)
    assert play.events()[1:] == written


def test_the_same_event_of_a_start_is_written_once(play: Play) -> None:
    started = Event(play.run.id, JOB_STARTED, 1, 1, 1)
    append(play, started, Event(play.run.id, JOB_STARTED, 1, 1, 2), Event(play.run.id, JOB_STARTED, 1, 2, 1))
    with pytest.raises(IntegrityError):
        append(play, Event(play.run.id, RUN_NOTE), started)
    assert play.kinds().count(RUN_NOTE) == 0


@pytest.mark.parametrize(
    ("first", "second", "later"),
    [
        (
            Event("", STEP_SUCCEEDED, 1, 1, starts=1),
            Event("", STEP_FAILED, 1, 1, starts=2),
            Event("", STEP_FAILED, 1, 1, starts=2, epoch=1),
        ),
        (Event("", ORDER_COMPLETED, 1), Event("", ORDER_FAILED, 1), Event("", ORDER_FAILED, 1, epoch=1)),
    ],
    ids=["step", "order"],
)
def test_steps_and_orders_end_once_an_epoch(play: Play, first: Event, second: Event, later: Event) -> None:
    first, second, later = (_of(play, event) for event in (first, second, later))
    append(play, first)
    with pytest.raises(IntegrityError):
        append(play, second)
    append(play, later)


def _of(play: Play, event: Event) -> Event:
    return Event(play.run.id, event.kind, event.order_number, event.step_index, event.starts, event.epoch)


def test_events_of_the_run_itself_may_repeat(play: Play) -> None:
    append(play, Event(play.run.id, RUN_NOTE), Event(play.run.id, RUN_NOTE))
    assert play.kinds().count(RUN_NOTE) == 2


def test_findings_are_replaced_an_epoch_at_a_time(play: Play) -> None:
    of_any_length = Finding(None, "A" * 300, "mismatched", "dicom", "the peer said \x00")
    with play.database.transaction() as work:
        work.journal.find(play.run.id, 0, [Finding(1, "A1", "missing", "hl7", "first")])
        work.journal.find(play.run.id, 1, [Finding(2, "A2", "duplicated", "dicom", "of the next epoch")])
        work.journal.find(play.run.id, 0, [Finding(3, "A3", "missing", "dicom", "second"), of_any_length])
    found = play.database.queries.findings(play.run.id, 100)
    assert [finding.order_number for finding in found] == [2, 3, None]
    assert found[2] == Finding(None, "A" * 300, "mismatched", "dicom", "the peer said \ufffd")
    assert len(play.database.queries.findings(play.run.id, 2)) == 2
    with play.database.transaction() as work:
        work.journal.find(play.run.id, 0, [])
    assert len(play.database.queries.findings(play.run.id, 100)) == 1
