"""``/api/admin/queues`` and the health of destinations: what there is to look after."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from app.api.access import ADMIN, VIEWER
from app.api.admin_overview import destinations_health, list_queues, purge_queue, release_queue
from app.api.admin_views import DestinationsHealthView, PurgeView, QueueView, ReleaseView
from app.api.documents import JsonRoute
from app.api.once import Once
from app.api.problems import responses
from app.api.routes.runs import Body
from app.api.services import Api
from app.api.views import PageView
from app.runs.tending.purge import Fate

router = APIRouter(tags=["admin"], route_class=JsonRoute)

Name = Annotated[str, Path(max_length=127, description="name of the queue")]


class PurgeBody(Body):
    jobs: Fate = Field(description="park: until they are released; dead-letter; cancel: their orders are cancelled")


@router.get("/api/admin/queues", dependencies=[VIEWER], responses=responses())
def get_queues(api: Api) -> PageView[QueueView]:
    """The queues of this server's templates and runs, and the dead one; each with what the broker can tell of it."""
    return PageView(items=list_queues(api.bundle))


@router.post("/api/admin/queues/{name}/purge", dependencies=[ADMIN], responses=responses(404, 409, 415))
def post_purge(api: Api, name: Name, body: PurgeBody, once: Once) -> PurgeView:
    """Throw away what waits in a queue; ``jobs`` says what becomes of the jobs whose messages these were.

    Jobs that a worker has begun are finished by it, and jobs that wait to be published are published later.
    """
    with once.claimed():
        return once.keep_done(purge_queue(api.bundle, name, body.jobs))


@router.post("/api/admin/queues/{name}/release", dependencies=[ADMIN], responses=responses(404, 409))
def post_release(api: Api, name: Name, once: Once) -> ReleaseView:
    """Have the jobs that a purge of this queue has parked published again."""
    with once.claimed():
        return once.keep_done(release_queue(api.bundle, name))


@router.get("/api/monitoring/health/destinations", dependencies=[VIEWER], responses=responses())
def get_destinations(api: Api) -> DestinationsHealthView:
    """The destinations that something was held against, and the jobs that wait without a message.

    A destination that has always answered is not listed.
    """
    return destinations_health(api.bundle.database.queries)
