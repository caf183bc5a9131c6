"""All there is to know about one order: from its rows and events, and planned again from the run's seed."""

from __future__ import annotations

import base64

from app.api.views import (
    AcknowledgementView,
    EventView,
    JobView,
    MessageView,
    OrderDetailView,
    OrderView,
    SeriesView,
    StepExecutionView,
    StudyView,
    event_view,
)
from app.domain.event import JOB_FINISHED, JOB_QUEUED, JOB_STARTED
from app.domain.identity import series_uid
from app.domain.order import Order
from app.domain.planning import OrderPlanner
from app.domain.run import Run
from app.domain.work import OrderRow
from app.hl7.orm import OrmRenderer
from app.hl7.parsing import Segments
from app.ports import Database, EventFeed
from app.runs.start import template_of

MAX_EVENTS = 1000  # of one order


def order_detail(database: Database, run: Run, number: int) -> OrderDetailView:
    """One order with its message, acknowledgement, study, steps, jobs and events. Raises NotFound."""
    row, steps = database.queries.order(run.id, number)
    events = _events(database.feed, run, number)
    order = planned_order(run, number)
    return OrderDetailView(
        **OrderView.model_validate(row).model_dump(),
        hl7=_message(OrmRenderer(template_of(run).hl7).render(order)),
        acknowledgement=_acknowledgement(row),
        study=_study(order),
        steps=[StepExecutionView.model_validate(step) for step in steps],
        jobs=_jobs(events),
        events=events,
    )


def planned_order(run: Run, number: int) -> Order:
    """The order as it was, or would be, planned."""
    return OrderPlanner(template_of(run), run.seed, run.run_key, run.base_time).order(number)


def _events(feed: EventFeed, run: Run, number: int) -> list[EventView]:
    found, _ = feed.read(run.id, None, MAX_EVENTS, number)
    return [event_view(recorded) for recorded in found]


def _message(message: bytes) -> MessageView:
    segments = Segments(message)
    return MessageView(
        character_set=segments.value("MSH", 18),
        text=_lines(message.decode(segments.codec, "replace")),
        base64=base64.b64encode(message).decode("ascii"),
    )


def _acknowledgement(row: OrderRow) -> AcknowledgementView | None:
    if not row.acknowledgement:
        return None
    message = row.acknowledgement.encode("latin-1")  # the bytes as they came: the row keeps one character for each
    try:
        text = message.decode(Segments(message).codec, "replace")
    except ValueError:  # there is no MSH segment to say otherwise
        text = row.acknowledgement
    return AcknowledgementView(code=row.ack_code, text=_lines(text))


def _lines(message: str) -> str:
    return message.replace("\r", "\n").rstrip("\n")


def _study(order: Order) -> StudyView:
    plan = order.study
    return StudyView(
        study_uid=order.study_uid,
        accession=order.accession,
        modality=plan.modality,
        body_part=plan.body_part,
        laterality=plan.laterality,
        description=plan.description,
        pixels=plan.pixels,
        series=[
            SeriesView(
                series_uid=series_uid(order.run_key, order.number, index),
                description=series.description,
                instances=series.instances,
            )
            for index, series in enumerate(plan.series, start=1)
        ],
    )


def _jobs(events: list[EventView]) -> list[JobView]:
    """The jobs of an order by their first step, from ``job.*`` events; a later start replaces an earlier one."""
    jobs: dict[tuple[int, int], JobView] = {}
    for event in events:
        if event.step_index is None or event.kind not in _JOB_FIELDS:
            continue
        moment, names = _JOB_FIELDS[event.kind]
        key = (event.epoch, event.step_index)
        known = jobs.get(key) or JobView(step_index=event.step_index, epoch=event.epoch, starts=0)
        # A worker may have started it before its producer had written that it is queued.
        starts = max(known.starts, event.starts)
        news = {"starts": starts, moment: event.at} | {name: event.data[name] for name in names}
        jobs[key] = known.model_copy(update=news)
    return list(jobs.values())


_JOB_FIELDS = {
    JOB_QUEUED: ("queued_at", ("queue",)),
    JOB_STARTED: ("started_at", ("worker",)),
    JOB_FINISHED: ("finished_at", ("seconds", "outcome")),
}
