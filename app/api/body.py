"""The limits of a request's body: how large it may be, and how long it may take to come."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_document, problem_response

MAX_BODY = 1024 * 1024  # bytes
BODY_SECONDS = 30.0


class BodyLimits:
    """ASGI middleware that has the whole body before anything looks at it."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds):
                body = await _read(scope, receive)
        except TimeoutError:
            problem = problem_document(408, f"the body did not come within {self._seconds:g} s; send it again")
        else:
            if body is not None:
                await self._app(scope, _replayed(body, receive), send)
                return
            problem = problem_document(413, f"the body is larger than {MAX_BODY} bytes; send less at a time")
        await problem_response(problem, {"Connection": "close"})(scope, receive, send)


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    """The whole body; None when it is too large, or the client went away before its end."""
    declared = Headers(scope=scope).get("content-length", "0")
    if declared.isdecimal() and int(declared) > MAX_BODY:
        return None
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY or message["type"] == "http.disconnect":
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
