"""Starting a run: resolve the template with its overrides and write the run's row."""

from __future__ import annotations

import copy
import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.domain.arrival import Arrival
from app.domain.errors import InvalidInput, Problem
from app.domain.identity import MAX_ORDERS, is_run_key, new_run_key
from app.domain.run import Run, RunState
from app.domain.schedule import due_before, schedule_of
from app.domain.template import StepTypes, Template
from app.domain.webhook import check_headers_stay
from app.ports import Database
from app.runs.templates import read_template

MAX_SEED = 2**63 - 1


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a person asks for. ``template`` is a name, an id or a whole document; the rest overrides it."""

    template: str | dict[str, Any]
    orders: int | None = None
    duration: float | None = None  # of the arrival model, in seconds
    seed: int | None = None
    run_key: str | None = None
    base_time: datetime | None = None
    hl7: str | dict[str, Any] | None = None
    dicom: str | dict[str, Any] | None = None
    thresholds: tuple[str, ...] = ()
    overrides: dict[str, Any] = field(default_factory=dict)  # dotted path -> value
    labels: dict[str, str] = field(default_factory=dict)


def start_run(database: Database, types: StepTypes, request: RunRequest, now: datetime) -> Run:
    """Validate and write the run in state PENDING; a producer takes it from there.

    ``now`` is the local time that becomes the run's base time unless the request has one.

    Raises:
        InvalidInput: the request or the template it leads to is wrong.
        NotFound: no such template.
        Conflict: the run key is taken.
    """
    return add_run(database, prepare_run(database, types, request, now))


def prepare_run(database: Database, types: StepTypes, request: RunRequest, now: datetime) -> Run:
    """The run that the request leads to, not written yet, so that it can be judged first. Raises as start_run does."""
    id_, name, version, document = _template_of(database, request.template)
    template = read_template(_overridden(document, request), types)
    problems = _problems_of_request(request)
    if problems:
        raise InvalidInput(*problems)
    seed = secrets.randbelow(2**31) if request.seed is None else request.seed
    base_time = (request.base_time or now).replace(microsecond=0, tzinfo=None)
    is_asked_for = request.orders is not None or "orders" in request.overrides
    template = _within_duration(template, seed, base_time, template.orders if is_asked_for else None)
    return Run(
        id=str(uuid.uuid4()),
        run_key=request.run_key or new_run_key(),
        template_id=id_,
        template_name=name or template.name,
        template_version=version,
        document=template.model_dump(mode="json", exclude_none=True),
        seed=seed,
        base_time=base_time,
        requested=template.orders,
        state=RunState.PENDING,
        created_at=now,
        labels=request.labels,
    )


def _within_duration(template: Template, seed: int, base_time: datetime, most: int | None) -> Template:
    """With as many orders as an open arrival model has due within its duration, and at most ``most``."""
    arrival = template.arrival
    if not arrival.is_open or arrival.duration is None:
        return template
    _refuse_far_too_many(arrival)
    due = due_before(schedule_of(arrival, seed, base_time), arrival.duration, most or MAX_ORDERS)
    if not due:
        raise InvalidInput(Problem("arrival.duration", "no order is due within it", "make it longer"))
    if due == MAX_ORDERS:
        raise _too_many()
    return template.model_copy(update={"orders": due})


def _refuse_far_too_many(arrival: Arrival) -> None:
    """Before all due times are drawn, only to see that there are too many."""
    if (arrival.target_rate or 0.0) * (arrival.duration or 0.0) > 2 * MAX_ORDERS:
        raise _too_many()


def _too_many() -> InvalidInput:
    return InvalidInput(
        Problem("arrival.duration", f"{MAX_ORDERS} orders or more are due within it", "make it shorter")
    )


def add_run(database: Database, run: Run) -> Run:
    """Write a prepared run; it comes back as it stands. Raises Conflict when its key is taken."""
    with database.transaction() as work:
        work.runs.add(run)
        return work.runs.get(run.id)


def template_of(run: Run) -> Template:
    """The template as it was resolved when the run was started."""
    return Template.model_validate(run.document)


def _template_of(database: Database, template: str | dict[str, Any]) -> tuple[str | None, str, int, dict[str, Any]]:
    if isinstance(template, dict):
        return None, "", 0, template
    with database.transaction() as work:
        row = work.templates.get(template)
    return row.id, row.name, row.version, row.document


def _problems_of_request(request: RunRequest) -> list[Problem]:
    problems = []
    if request.run_key is not None and not is_run_key(request.run_key):
        cure = "8 characters of 0-9 and A-Z without I, L, O, U"
        problems.append(Problem("run_key", f"{request.run_key!r} is not a run key", cure))
    if request.orders is not None and not 1 <= request.orders <= MAX_ORDERS:
        problems.append(Problem("orders", f"{request.orders} is out of range", f"1 to {MAX_ORDERS}"))
    if request.seed is not None and not 0 <= request.seed <= MAX_SEED:
        problems.append(Problem("seed", f"{request.seed} is out of range", f"0 to {MAX_SEED}"))
    return problems


def _overridden(document: dict[str, Any], request: RunRequest) -> dict[str, Any]:
    given_document, document = document, copy.deepcopy(document)
    named = {
        "orders": request.orders,
        "destinations.hl7": request.hl7,
        "destinations.dicom": request.dicom,
    }
    given = {path: value for path, value in named.items() if value is not None}
    last = {} if request.duration is None else {"arrival.duration": request.duration}  # it goes into any arrival
    for path, value in (given | request.overrides | last).items():  # a path may go into what was just named
        _set(document, path, value)
    own = document.get("thresholds") or []
    if request.thresholds and isinstance(own, list):
        document["thresholds"] = [*own, *request.thresholds]
    check_headers_stay(given_document, document)
    return document


def _set(document: dict[str, Any], path: str, value: Any) -> None:
    """Set a dotted path; a number steps into a list. Whether the path means anything, validation says afterwards."""
    *parents, last = path.split(".")
    place: Any = document
    for key in parents:
        if isinstance(place, list):
            place = _item(place, key, path)
        elif isinstance(place, dict):
            if not isinstance(place.get(key), (dict, list)):
                place[key] = {}
            place = place[key]
    if isinstance(place, list):
        _item(place, last, path)
        place[int(last)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise InvalidInput(Problem(path, "it goes into an item that has no parts", "end the path at the item"))


def _item(place: list[Any], key: str, path: str) -> Any:
    if not key.isdecimal() or int(key) >= len(place):
        raise InvalidInput(Problem(path, f"there is no item {key!r}", f"count from 0 to {len(place) - 1}"))
    return place[int(key)]
