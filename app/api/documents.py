"""Reading request bodies: JSON everywhere, YAML too where a template is expected.

Nothing gets in that the core or a database could choke on: nesting and size are bounded, YAML's aliases (and with them
alias bombs) are refused, and values are those that JSON has, without NaN, infinities, NUL characters and surrogates.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any

import yaml
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

MAX_DEPTH = 32
_TOO_DEEP = f"nested more than {MAX_DEPTH} deep"
_JSON = re.compile(r"application/(?:[\w.-]+\+)?json")
_YAML = re.compile(r"(?:application|text)/(?:x-)?yaml")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class MalformedDocument(ValueError):
    """A body that can't be read; the text says where and why."""


def parse_json(body: bytes) -> Any:
    """The value of a JSON text.

    Raises:
        MalformedDocument: it is not JSON, or holds what no document of ours may hold.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise MalformedDocument(_TOO_DEEP) from error
    except ValueError as error:
        raise MalformedDocument(f"not valid JSON: {error}") from error
    _check(value, "", 1)
    return value


def parse_yaml(body: bytes) -> Any:
    """The value of a YAML document. Raises MalformedDocument as :func:`parse_json` does."""
    try:
        value = yaml.load(body, _BoundedLoader)  # noqa: S506 - a SafeLoader, bounded
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise MalformedDocument(f"not valid YAML: {place}{error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise MalformedDocument(f"not valid YAML: {' '.join(str(error).split())}") from error
    _check(value, "", 1)
    return value


class _BoundedLoader(yaml.SafeLoader):
    """Builds plain values only; refuses aliases and deep nesting while it reads, before anything is built."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise self._refused("aliases are not taken; write the value out")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._refused(_TOO_DEEP)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refused(self, problem: str) -> yaml.MarkedYAMLError:
        place = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        return yaml.MarkedYAMLError(problem=problem, problem_mark=place)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value")


def _check(value: Any, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise MalformedDocument(_TOO_DEEP)
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise MalformedDocument(f"{path or 'the document'}: the key {key!r} is not a text; put it in quotes")
            _check_value(key, path)
            _check(item, f"{path}.{key}" if path else key, depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}.{index}" if path else str(index), depth + 1)
    else:
        _check_value(value, path)


def _check_value(value: Any, path: str) -> None:
    where = path or "the document"
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise MalformedDocument(f"{where}: holds a NUL character or half a surrogate pair")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise MalformedDocument(f"{where}: {value} is not a JSON value")
    elif value is not None and not isinstance(value, int):
        raise MalformedDocument(f"{where}: {type(value).__name__} is not a JSON value; put it in quotes")


class JsonRoute(APIRoute):
    """A route that reads its JSON body by :func:`parse_json`, and takes no other kind of body."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(_JsonRequest(request.scope, request.receive))

        return handle


class _JsonRequest(Request):
    async def body(self) -> bytes:
        body = await super().body()
        if body and not _JSON.fullmatch(_media_type(self)):
            raise HTTPException(415, "send the body as application/json")
        return body

    async def json(self) -> Any:
        return _or_400(parse_json, await self.body())


async def template_document(request: Request) -> Any:
    """Dependency: the body as a document, JSON or YAML by its Content-Type."""
    media_type = _media_type(request)
    if _YAML.fullmatch(media_type):
        return _or_400(parse_yaml, await request.body())
    if _JSON.fullmatch(media_type):
        return _or_400(parse_json, await request.body())
    raise HTTPException(415, "send the template as application/json or application/yaml")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _or_400(parse: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return parse(body)
    except MalformedDocument as error:
        raise HTTPException(400, str(error)) from error
