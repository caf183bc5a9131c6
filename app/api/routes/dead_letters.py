"""``/api/admin/dead-letters``: jobs that were given up, and having them tried again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, model_validator

from app.api.access import ADMIN, OPERATOR, VIEWER
from app.api.admin_views import (
    DeadLetterDetailView,
    DeadLetterStatisticsView,
    DeadLetterView,
    DiscardView,
    RetryView,
    discard_view,
    retry_view,
    statistics_view,
)
from app.api.dead_letter_detail import dead_letter_detail
from app.api.documents import JsonRoute
from app.api.once import Once, OneRequest
from app.api.problems import responses
from app.api.routes.runs import After, Body, Limit
from app.api.services import Api, Services
from app.api.views import PageView
from app.domain.errors import Conflict
from app.domain.work import MAX_SELECTED, DeadLetterFilter, DeadLetterKind, DeadLetterSelection, DeadLetterState
from app.runs.tending.dead_letters import Discard, Retry, discard, retry

router = APIRouter(prefix="/api/admin/dead-letters", tags=["dead letters"], route_class=JsonRoute)

MAX_ID = 2**63 - 1
LetterId = Annotated[int, Path(ge=1, le=MAX_ID)]
MAX_TEXT = 200


class SelectionBody(Body):
    """Letters by their ids; or the oldest OPEN ones that match all that is given, of all letters if nothing is."""

    ids: list[Annotated[int, Field(ge=1, le=MAX_ID)]] | None = Field(
        default=None, min_length=1, max_length=MAX_SELECTED
    )
    run: str | None = Field(default=None, max_length=MAX_TEXT, description="id or run key of the run")
    queue: str | None = Field(default=None, max_length=MAX_TEXT)
    kind: DeadLetterKind | None = None
    search: str | None = Field(default=None, max_length=MAX_TEXT, description="part of the reason")
    step_type: str | None = Field(default=None, max_length=MAX_TEXT, description="of the step that failed")
    limit: int = Field(default=MAX_SELECTED, ge=1, le=MAX_SELECTED)

    @model_validator(mode="after")
    def _check(self) -> SelectionBody:
        if self.ids is not None and self.model_fields_set != {"ids"}:
            raise ValueError("ids and a filter are given; give one of the two")
        return self

    def selection(self) -> DeadLetterSelection:
        wanted = DeadLetterFilter(
            run=self.run, queue=self.queue, kind=self.kind, search=self.search, step_type=self.step_type
        )
        return DeadLetterSelection(tuple(self.ids or ()), wanted, self.limit)


@router.get("", dependencies=[VIEWER], responses=responses())
def list_dead_letters(
    api: Api,
    state: DeadLetterState | None = None,
    run: Annotated[str | None, Query(max_length=MAX_TEXT, description="id or run key of the run")] = None,
    queue: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
    kind: DeadLetterKind | None = None,
    search: Annotated[str | None, Query(max_length=MAX_TEXT, description="part of the reason")] = None,
    step_type: Annotated[str | None, Query(max_length=MAX_TEXT, description="of the step that failed")] = None,
    after: After = None,
    limit: Limit = 50,
) -> PageView[DeadLetterView]:
    """Dead letters, the newest first."""
    wanted = DeadLetterFilter(state, run, queue, kind, search, step_type)
    page = api.bundle.database.queries.dead_letters(wanted, after=after, limit=limit)
    return PageView(items=[DeadLetterView.model_validate(row) for row in page.rows], next_cursor=page.next_cursor)


@router.get("/statistics", dependencies=[VIEWER], responses=responses())
def get_statistics(api: Api) -> DeadLetterStatisticsView:
    """How many letters there are, by state, kind, queue and step type."""
    return statistics_view(api.bundle.database.queries.dead_letter_counts())


@router.get("/{id}", dependencies=[VIEWER], responses=responses(404))
def get_dead_letter(api: Api, id: LetterId) -> DeadLetterDetailView:
    """One letter: its message, the traceback of a defect, and what was tried."""
    return dead_letter_detail(api.bundle.database, id)


@router.post("/{id}/retry", dependencies=[OPERATOR], status_code=202, responses=responses(404, 409))
async def retry_dead_letter(api: Api, id: LetterId, once: Once) -> RetryView:
    """Have its job go on where it failed. A run that has ended with errors is reopened, at its next epoch.

    A letter that was retried before is left as it is, and so is the run.
    """
    view = await run_in_threadpool(_retry, api, once, DeadLetterSelection(ids=(id,)), True)
    return _with_producers(api, view)


@router.post("/retry", dependencies=[OPERATOR], status_code=202, responses=responses(404, 409, 415))
async def retry_dead_letters(api: Api, body: SelectionBody, once: Once) -> RetryView:
    """Have the jobs of many letters go on where they failed; those that can't be retried are named, with the reason."""
    view = await run_in_threadpool(_retry, api, once, body.selection(), False)
    return _with_producers(api, view)


@router.post("/discard", dependencies=[ADMIN], responses=responses(404, 409, 415))
def discard_dead_letters(api: Api, body: SelectionBody, once: Once) -> DiscardView:
    """Settle many letters without doing anything; their orders stay FAILED."""
    with once.claimed(), api.bundle.database.transaction() as work:
        return once.keep(work, discard_view(discard(work, body.selection())))


@router.delete("/{id}", dependencies=[ADMIN], status_code=204, responses=responses(404, 409))
def discard_dead_letter(api: Api, id: LetterId) -> None:
    """Settle a letter without doing anything; its order stays FAILED."""
    with api.bundle.database.transaction() as work:
        _refuse(discard(work, DeadLetterSelection(ids=(id,))))


def _retry(api: Services, once: OneRequest, selection: DeadLetterSelection, only_one: bool) -> RetryView:
    with once.claimed(), api.bundle.database.transaction() as work:
        outcome = retry(work, selection)
        if only_one:
            _refuse(outcome)
        return once.keep(work, retry_view(outcome))


def _refuse(outcome: Retry | Discard) -> None:
    """Raises Conflict when the one letter that was asked for was left as it is."""
    for refusal in outcome.refused:
        raise Conflict(f"dead letter {refusal.id}: {refusal.reason}")


def _with_producers(api: Services, view: RetryView) -> RetryView:
    for run in view.runs:
        if run.reopened:
            api.producers.start(run.id)
    return view
