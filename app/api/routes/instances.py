"""``/api/simulator/runs/{id}/orders/{number}/instances``: the images of an order, made again from the run's seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import APIRouter, Path, Response

from app.api.access import VIEWER
from app.api.problems import responses
from app.api.routes.orders import Number
from app.api.routes.runs import Id, find_run
from app.api.services import Api, Services
from app.api.study_detail import instance_elements, instance_thumbnail, list_instances
from app.api.views import ElementView, InstanceView, PageView

router = APIRouter(prefix="/api/simulator/runs/{id}/orders/{number}/instances", tags=["orders"])

Result = TypeVar("Result")
Index = Annotated[int, Path(ge=0, lt=2**31, description="place in the study, from 0, over all of its series")]

_PNG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}
_KEPT = {"Cache-Control": "private, max-age=3600"}  # it never looks any different


@router.get("", dependencies=[VIEWER], responses=responses(404))
async def get_instances(api: Api, id: Id, number: Number) -> PageView[InstanceView]:
    """Every instance of the order's study as planned, series by series."""
    return PageView(items=await _made(api, list_instances, id, number))


@router.get("/{index}", dependencies=[VIEWER], responses=responses(404))
async def get_elements(api: Api, id: Id, number: Number, index: Index) -> PageView[ElementView]:
    """The data elements of one instance by tag, as they are generated; the pixels are left out."""
    return PageView(items=await _made(api, instance_elements, id, number, index))


@router.get("/{index}/thumbnail", dependencies=[VIEWER], responses=responses(404) | _PNG, response_class=Response)
async def get_thumbnail(api: Api, id: Id, number: Number, index: Index) -> Response:
    """One instance as a picture of at most 256 by 256 pixels, through its own window."""
    return Response(await _made(api, instance_thumbnail, id, number, index), media_type="image/png", headers=_KEPT)


async def _made(api: Services, make: Callable[..., Result], id: str, *place: int) -> Result:
    """Made in a thread, a few at a time: painting a radiograph takes a second."""
    return await to_thread.run_sync(_make, api, make, id, *place, limiter=api.painters)


def _make(api: Services, make: Callable[..., Result], id: str, *place: int) -> Result:
    return make(api.bundle.database, find_run(api, id), *place)
