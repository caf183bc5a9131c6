"""The gate in front of everything: by which name this server may be asked, and by which web pages.

Without tokens whoever reaches the server is its administrator, so the Host must be a loopback name: a page that made
its own name point here (DNS rebinding) is turned away. With tokens the names of the allowed origins are good, too. The
Origin, which browsers add, must be this very server or exactly one that is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem_document, problem_response
from app.domain.errors import InvalidInput, Problem

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_SETTING = "YEETER_ALLOWED_ORIGINS"
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?")
_HTTP_SCHEMES = {"ws": "http", "wss": "https"}


class Gate:
    """ASGI middleware for HTTP and websockets."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Iterable[str] = LOOPBACK_NAMES,
        origins: Iterable[str] = (),
        any_host: frozenset[str] = frozenset(),
    ) -> None:
        """``any_host``: paths that may be asked by any name, as probes do that know an address only.

        Raises:
            InvalidInput: an origin is not one.
        """
        self._app = app
        self._origins = frozenset(map(check_origin, origins))
        self._hosts = frozenset(hosts) | {_name(urlsplit(origin).netloc) for origin in self._origins}
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal["detail"][:120]})
        else:
            await problem_response(refusal, {"Connection": "close"})(scope, receive, send)

    def _refusal(self, scope: Scope) -> dict[str, Any] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name(host) not in self._hosts and scope["path"] not in self._any_host:
            cure = f"ask it as localhost, or add how you ask it to {_SETTING} of the server"
            return problem_document(403, f"this server is not {host!r}; {cure}")
        origin = headers.get("origin")
        scheme = _HTTP_SCHEMES.get(scope["scheme"], scope["scheme"])
        if origin is not None and origin not in self._origins and origin != f"{scheme}://{host}":
            cure = f"add their origin to {_SETTING} of the server"
            return problem_document(403, f"pages of {origin} may not ask this server; {cure}")
        if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
            return problem_document(400, "the address holds a NUL character")
        return None


def check_origin(text: str) -> str:
    """The origin as it is. Raises InvalidInput when it is none (RFC 6454 section 6.2: scheme, host, port; no path)."""
    if not _ORIGIN.fullmatch(text):
        cure = "write scheme, name and port as browsers do, e.g. https://yeeter.example:8443"
        raise InvalidInput(Problem(_SETTING, f"{text!r} is not an origin", cure))
    return text


def _name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
