"""Errors as problem documents (RFC 9457): never a traceback, always what to do where there is something to do."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.domain.errors import Conflict, InvalidInput, NotFound, Problem, Unavailable, YeeterError
from app.domain.template import problem_of

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5  # seconds, said with 503
_KINDS = {
    400: "malformed-request",
    401: "not-authenticated",
    403: "refused",
    404: "not-found",
    405: "method-not-allowed",
    408: "too-slow",
    409: "conflict",
    413: "too-large",
    415: "unsupported-media-type",
    422: "invalid-input",
    500: "defect",
    503: "unavailable",
}
_STATUS: tuple[tuple[type[YeeterError], HTTPStatus], ...] = (
    (InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
)


class FieldProblem(BaseModel):
    field: str = Field(description="dotted path, such as steps.1.queue; empty for the whole input")
    problem: str
    cure: str = Field(description="what to do about it; may be empty")


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="urn:yeeter:problem: and the name of the kind")
    title: str
    status: int
    detail: str = Field(description="one line that a person can act on")
    problems: list[FieldProblem] | None = Field(
        default=None, description="of an invalid input: everything wrong with it"
    )


def problem_document(status: int, detail: str, problems: Sequence[Problem] | None = None) -> dict[str, Any]:
    kind = _KINDS[status]
    document: dict[str, Any] = {
        "type": f"urn:yeeter:problem:{kind}",
        "title": kind.replace("-", " ").capitalize(),
        "status": int(status),
        "detail": detail,
    }
    if problems is not None:
        document["problems"] = [
            {"field": problem.field, "problem": problem.problem, "cure": problem.cure} for problem in problems
        ]
    return document


def problem_of_error(error: YeeterError) -> dict[str, Any]:
    """The document for an error of the core; one that no table names is a defect (500)."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.INTERNAL_SERVER_ERROR)
    problems = error.problems if isinstance(error, InvalidInput) else None
    return problem_document(status, str(error), problems)


def problem_response(document: dict[str, Any], headers: dict[str, str] | None = None) -> JSONResponse:
    headers = dict(headers or {})
    if document["status"] == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(RETRY_AFTER)
    return JSONResponse(document, document["status"], headers, MEDIA_TYPE)


def handle_errors(app: FastAPI) -> None:
    """Answer every error of this application by a problem document."""

    @app.exception_handler(YeeterError)
    async def yeeter_error(request: Request, error: YeeterError) -> JSONResponse:
        return problem_response(problem_of_error(error))

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        # The location begins with where the value was: body, path or query.
        found = InvalidInput(*(problem_of(item, item["loc"][1:]) for item in error.errors()))
        return problem_response(problem_of_error(found))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        detail = error.detail
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {request.url.path}; /docs lists what there is"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            allowed = (error.headers or {}).get("Allow", "another method")
            detail = f"{request.method} is not offered here; use {allowed}"
        return problem_response(problem_document(error.status_code, detail), dict(error.headers or {}))

    @app.exception_handler(Exception)
    async def defect(request: Request, error: Exception) -> JSONResponse:
        log.error("a defect answered with 500", path=request.url.path, error=repr(error))
        return problem_response(problem_document(500, "a defect of the server; its log says more"))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's error responses of a route; those that any request may get are always among them."""
    every = sorted({*statuses, 400, 401, 403, 408, 413, 422, 500, 503})
    return {
        status: {"model": ProblemDocument, "description": _KINDS[status].replace("-", " ").capitalize()}
        for status in every
    }
