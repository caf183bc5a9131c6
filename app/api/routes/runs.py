"""``/api/simulator/runs``: starting, following, pausing, cancelling and deleting runs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.api.access import OPERATOR, VIEWER
from app.api.documents import JsonRoute
from app.api.once import Once, OneRequest
from app.api.problems import responses
from app.api.services import Api, Services
from app.api.tracing import Traced
from app.api.views import EventView, FindingView, LocalTime, PageView, RunDetailView, RunView, event_view
from app.domain.duration import Duration
from app.domain.identity import MAX_ORDERS
from app.domain.run import Run, RunState
from app.runs.control import request_cancel, request_pause, request_resume
from app.runs.producing.preflight import require_destinations
from app.runs.start import MAX_SEED, RunRequest, prepare_run, template_of
from app.runs.tending.remove import remove_run
from app.util.addresses import look_up

router = APIRouter(prefix="/api/simulator/runs", tags=["runs"], route_class=JsonRoute)

Id = Annotated[str, Path(description="id or run key of the run")]
After = Annotated[str | None, Query(description="next_cursor (or an event's cursor) to go on from")]
Limit = Annotated[int, Query(ge=1, le=500)]


def _text_or_mapping(value: Any) -> Any:
    if not isinstance(value, (str, dict)):
        raise ValueError("neither a text nor a mapping; give one of the two")
    return value


# One rule instead of a union, whose errors would be named by its members.
TextOrMapping = Annotated[
    Any,
    BeforeValidator(_text_or_mapping),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": True}]}),
]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DestinationsBody(Body):
    hl7: TextOrMapping | None = Field(default=None, description="HOST:PORT, or its mapping in a template")
    dicom: TextOrMapping | None = Field(default=None, description="AET@HOST:PORT, or its mapping in a template")


class RunBody(Body):
    """A run to start; what is given here comes before what the template says."""

    template: TextOrMapping = Field(description="name or id of a stored template, or a whole template document")
    orders: int | None = Field(default=None, ge=1, le=MAX_ORDERS)
    duration: Duration | None = Field(default=None, description="of the arrival model: seconds, or text like 10m")
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, description="decides content; drawn when not given")
    run_key: str | None = Field(default=None, description="decides identity: 8 characters, new for every run")
    base_time: LocalTime | None = None
    destinations: DestinationsBody = DestinationsBody()
    overrides: dict[str, Any] = Field(default={}, max_length=100, description="dotted path in the template: value")
    thresholds: list[str] = Field(default=[], max_length=100, description="added to the template's own")
    labels: dict[Annotated[str, Field(max_length=63)], Annotated[str, Field(max_length=255)]] = Field(
        default={}, max_length=50
    )

    def request(self) -> RunRequest:
        return RunRequest(
            template=self.template,
            orders=self.orders,
            duration=self.duration,
            seed=self.seed,
            run_key=self.run_key,
            base_time=self.base_time,
            hl7=self.destinations.hl7,
            dicom=self.destinations.dicom,
            thresholds=tuple(self.thresholds),
            overrides=self.overrides,
            labels=self.labels,
        )


@router.post("", dependencies=[OPERATOR], status_code=202, responses=responses(404, 409, 415))
async def start_run(api: Api, body: RunBody, response: Response, once: Once, call: Traced) -> RunView:
    """Start a run. It is PENDING at first; a producer of its own takes it from there."""
    run = await run_in_threadpool(_add_run, api, call.labelled(body.request()), response, once)
    call.answered(202)
    api.producers.start(run.id)
    return run


def _add_run(api: Services, request: RunRequest, response: Response, once: OneRequest) -> RunView:
    bundle = api.bundle
    with once.claimed():
        run = prepare_run(bundle.database, bundle.types, request, datetime.now(UTC).astimezone())
        template = template_of(run)
        require_destinations(template, bundle.is_embedded)
        api.allowlist.check(template, look_up)
        response.headers["Location"] = f"{router.prefix}/{run.id}"
        with bundle.database.transaction() as work:
            work.runs.add(run)
            return once.keep(work, RunView.model_validate(work.runs.get(run.id)))


@router.get("", dependencies=[VIEWER], responses=responses())
def list_runs(
    api: Api,
    state: RunState | None = None,
    template: Annotated[str | None, Query(description="name of the template")] = None,
    after: After = None,
    limit: Limit = 50,
) -> PageView[RunView]:
    """Runs, the newest first."""
    page = api.bundle.database.queries.runs(state=state, template=template, after=after, limit=limit)
    return PageView(items=[RunView.model_validate(run) for run in page.rows], next_cursor=page.next_cursor)


@router.get("/{id}", dependencies=[VIEWER], responses=responses(404))
def get_run(api: Api, id: Id) -> RunDetailView:
    return RunDetailView.model_validate(find_run(api, id))


@router.delete("/{id}", dependencies=[OPERATOR], status_code=204, responses=responses(404, 409))
def delete_run(api: Api, id: Id) -> None:
    """Remove a run that has ended, with its orders, events and findings."""
    bundle = api.bundle
    remove_run(bundle.database, id, bundle.studies, bundle.settings.run_folder)


@router.post("/{id}/cancel", dependencies=[OPERATOR], status_code=202, responses=responses(404, 409))
def cancel_run(api: Api, id: Id, once: Once) -> RunView:
    """Ask a run to stop: what is under way ends, what waits is cancelled, then the run is CANCELLED."""
    with once.claimed():
        return once.keep_done(RunView.model_validate(request_cancel(api.bundle.database, id)))


@router.post("/{id}/pause", dependencies=[OPERATOR], status_code=202, responses=responses(404, 409))
def pause_run(api: Api, id: Id, once: Once) -> RunView:
    """Have a run begin nothing new: no order is sent and no job is started until it is resumed."""
    with once.claimed():
        return once.keep_done(RunView.model_validate(request_pause(api.bundle.database, id)))


@router.post("/{id}/resume", dependencies=[OPERATOR], status_code=202, responses=responses(404, 409))
def resume_run(api: Api, id: Id, once: Once) -> RunView:
    """Have a paused run go on where it was."""
    with once.claimed():
        return once.keep_done(RunView.model_validate(request_resume(api.bundle.database, id)))


@router.get("/{id}/events", dependencies=[VIEWER], responses=responses(404))
def list_events(
    api: Api,
    id: Id,
    after: After = None,
    limit: Limit = 200,
    order: Annotated[int | None, Query(ge=0, description="only events of this order")] = None,
) -> PageView[EventView]:
    """Events in their order. ``next_cursor`` is never null: hand it back later, and read what has come since."""
    run = find_run(api, id)
    events, cursor = api.bundle.database.feed.read(run.id, after, limit, order)
    return PageView(items=[event_view(recorded) for recorded in events], next_cursor=cursor)


@router.get("/{id}/findings", dependencies=[VIEWER], responses=responses(404))
def list_findings(api: Api, id: Id, limit: Limit = 500) -> PageView[FindingView]:
    """What reconciliation found missing, duplicated or mismatched; the first ``limit`` of it."""
    findings = api.bundle.database.queries.findings(find_run(api, id).id, limit)
    return PageView(items=[FindingView.model_validate(finding) for finding in findings])


def find_run(api: Services, id: str) -> Run:
    """Raises NotFound."""
    with api.bundle.database.transaction() as work:
        return work.runs.get(id)
