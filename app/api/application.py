"""The application: REST and Socket.IO behind one gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio import CapacityLimiter
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from app.api.access import Access, Authentication, open_paths
from app.api.body import BodyLimits
from app.api.figures import LiveFigures
from app.api.gate import LOOPBACK_NAMES, Gate
from app.api.live.sockets import Sockets
from app.api.metrics import ApiMetrics
from app.api.once import answer_replays
from app.api.problems import MEDIA_TYPE, handle_errors
from app.api.producers import Producers
from app.api.routes import (
    access,
    admin,
    dead_letters,
    destinations,
    instances,
    metrics,
    monitoring,
    orders,
    runs,
    step_types,
    templates,
    web,
    workers,
)
from app.api.services import Services
from app.api.tokens import Tokens
from app.api.upkeep import Upkeep, duties_of
from app.api.worker_views import workers_view
from app.bootstrap import Bundle
from app.domain.allowlist import Allowlist
from app.domain.errors import InvalidInput, Problem
from app.domain.template import Template
from app.settings import Settings

_DESCRIPTION = """
Plays a hospital's imaging department at load. Errors are problem documents (RFC 9457); lists are pages: hand
`next_cursor` back as `after`. Live: Socket.IO, namespace `/simulator`. A POST that makes or changes something may carry
an `Idempotency-Key`: sent again within 24 hours, it gets the first answer, and nothing happens twice.
"""

PAINTERS = 2  # images made at once; who asks for more waits

ROUTERS = (
    templates.router,
    step_types.router,
    runs.router,
    orders.router,
    instances.router,
    metrics.router,
    dead_letters.router,
    admin.router,
    workers.router,
    monitoring.router,
    destinations.router,
    access.router,
    web.router,
)


def create_app(bundle: Bundle, producers: Producers | None = None) -> ASGIApp:
    """The ASGI application over these adapters; the database is migrated already.

    Raises:
        InvalidInput: a setting can't be used.
    """
    settings = bundle.settings
    access = Access(Tokens(settings.tokens_file) if settings.tokens_file else None)
    sockets = Sockets(bundle.database, access, lambda: workers_view(bundle).model_dump(mode="json"))
    services = Services(
        bundle,
        producers or Producers(settings, bundle.database),
        LiveFigures(bundle.database),
        Allowlist(settings.allowed_destinations),
        ApiMetrics(bundle, sockets.feed_lag),
        CapacityLimiter(PAINTERS),
    )
    rest = services.metrics.counting(_rest(services, sockets, Upkeep(duties_of(bundle))))
    known = Authentication(BodyLimits(sockets.application(rest)), access, open_paths(ROUTERS))
    return _gated(known, settings)


def _rest(services: Services, sockets: Sockets, upkeep: Upkeep) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services.producers.look_after_runs()
        upkeep.start()
        yield
        upkeep.stop()
        sockets.close()
        await services.producers.stop()

    rest = FastAPI(
        title="HL7 Yeeter",
        description=_DESCRIPTION,
        version=monitoring.VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    rest.state.services = services
    handle_errors(rest)
    answer_replays(rest)
    for router in ROUTERS:
        rest.include_router(router)
    _describe(rest)
    return rest


def _gated(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Only asked by its own names and those of the allowed origins, and by pages of these."""
    origins = settings.allowed_origins
    if settings.tokens_file is None and origins:
        problem = "without tokens these pages could do everything"
        raise InvalidInput(Problem("YEETER_ALLOWED_ORIGINS", problem, "set YEETER_TOKENS_FILE, too"))
    if origins:
        headers = ["Authorization", "Content-Type", "Idempotency-Key"]
        exposed = ["Location", "Retry-After", "Idempotency-Replayed", "WWW-Authenticate"]
        app = CORSMiddleware(app, origins, ["*"], headers, expose_headers=exposed)
    any_host = open_paths(ROUTERS) | {monitoring.METRICS} if settings.tokens_file else frozenset()
    return Gate(app, LOOPBACK_NAMES | {settings.host.strip("[]").lower()}, origins, any_host)


def _describe(rest: FastAPI) -> None:
    """OpenAPI as it is: problem documents under their own media type, and the schema of templates."""
    generate = rest.openapi

    def openapi() -> dict[str, Any]:
        if rest.openapi_schema is None:
            document = generate()
            _add_template_schemas(document)
            for operations in document["paths"].values():
                for operation in operations.values():
                    _name_problems(operation["responses"])
        assert rest.openapi_schema is not None
        return rest.openapi_schema

    rest.openapi = openapi  # type: ignore[method-assign]


def _add_template_schemas(document: dict[str, Any]) -> None:
    schema = Template.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas = document["components"]["schemas"]
    schemas |= schema.pop("$defs")
    schemas["Template"] = schema
    position = {"type": "integer", "minimum": 0, "description": "where it goes; the end when not given"}
    step = schemas["Step"]
    schemas["StepBody"] = step | {"title": "StepBody", "properties": step["properties"] | {"position": position}}


def _name_problems(responses: dict[str, Any]) -> None:
    for response in responses.values():
        content = response.get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        if schema.get("$ref", "").endswith("/ProblemDocument"):
            response["content"] = {MEDIA_TYPE: content.pop("application/json")}
