"""``/api/simulator/runs/{id}/orders``: the orders of a run, and all there is to know about one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from app.api.access import VIEWER
from app.api.order_detail import order_detail
from app.api.problems import responses
from app.api.routes.runs import After, Id, Limit, find_run
from app.api.services import Api
from app.api.views import OrderDetailView, OrderView, PageView
from app.domain.identity import MAX_ORDERS
from app.domain.run import OrderState

router = APIRouter(prefix="/api/simulator/runs/{id}/orders", tags=["orders"])

Number = Annotated[int, Path(ge=0, lt=MAX_ORDERS, description="of the order, from 0")]


@router.get("", dependencies=[VIEWER], responses=responses(404))
def list_orders(
    api: Api,
    id: Id,
    state: OrderState | None = None,
    search: Annotated[
        str | None, Query(max_length=64, description="accession number, patient ID, or part of the patient's name")
    ] = None,
    first: Annotated[int | None, Query(ge=0, lt=MAX_ORDERS, description="number to begin at")] = None,
    after: After = None,
    limit: Limit = 100,
) -> PageView[OrderView]:
    """Orders by number."""
    run = find_run(api, id)
    page = api.bundle.database.queries.orders(run.id, state=state, search=search, first=first, after=after, limit=limit)
    return PageView(items=[OrderView.model_validate(row) for row in page.rows], next_cursor=page.next_cursor)


@router.get("/{number}", dependencies=[VIEWER], responses=responses(404))
def get_order(api: Api, id: Id, number: Number) -> OrderDetailView:
    """One order: its message as it was sent, the acknowledgement, the study as planned, steps, jobs and events."""
    return order_detail(api.bundle.database, find_run(api, id), number)
