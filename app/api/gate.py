"""The gate in front of everything: who may ask at all, and how much.

There are no tokens yet, so only this machine may ask, and no web page of another origin through a browser on it: the
Host must be a loopback name (DNS rebinding), and an Origin, where one is given, this very server (cross-site requests).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem_document, problem_response

MAX_BODY = 1024 * 1024  # bytes
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_TOO_LARGE = problem_document(413, f"the body is larger than {MAX_BODY} bytes")


class Gate:
    """ASGI middleware for HTTP and websockets. ``hosts`` are the names that this server may be asked by."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK_NAMES) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": refusal["detail"]})
            return
        body = None if refusal else await _read(scope, receive)
        if refusal is None and body is not None:
            await self._app(scope, _replayed(body, receive), send)
        else:
            await problem_response(refusal or _TOO_LARGE, {"Connection": "close"})(scope, receive, send)

    def _refusal(self, scope: Scope) -> dict[str, Any] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return problem_document(403, f"this server is not {host!r}; ask it as localhost")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return problem_document(403, f"pages of {origin} may not ask this server")
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return problem_document(400, "the address holds a NUL character")
        return None


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


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
