"""The application: REST and Socket.IO behind one gate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import socketio
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.api.destinations import Allowlist
from app.api.gate import LOOPBACK_NAMES, Gate
from app.api.live.sockets import Sockets
from app.api.problems import MEDIA_TYPE, handle_errors
from app.api.producers import Producers
from app.api.routes import monitoring, orders, runs, templates
from app.api.services import Services
from app.api.summaries import LiveSummaries
from app.bootstrap import Bundle
from app.domain.template import Template

_DESCRIPTION = """
Plays a hospital's imaging department at load. Errors are problem documents (RFC 9457); lists are pages: hand
`next_cursor` back as `after`. Live: Socket.IO, namespace `/simulator`.
"""


def create_app(bundle: Bundle) -> ASGIApp:
    """The ASGI application over these adapters; the database is migrated already.

    Raises:
        InvalidInput: a setting can't be used.
    """
    allowlist = Allowlist(bundle.settings.allowed_destinations)
    producers = Producers(bundle.settings, bundle.database)
    sockets = Sockets(bundle.database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        sockets.close()
        await producers.stop()

    rest = FastAPI(
        title="HL7 Yeeter",
        description=_DESCRIPTION,
        version=monitoring.VERSION,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    rest.state.services = Services(bundle, producers, LiveSummaries(bundle.database.feed), allowlist)
    handle_errors(rest)
    for router in (templates.router, runs.router, orders.router, monitoring.router):
        rest.include_router(router)
    _describe(rest)
    hosts = LOOPBACK_NAMES | {bundle.settings.host.strip("[]").lower()}
    return Gate(socketio.ASGIApp(sockets.server, rest), hosts)


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
