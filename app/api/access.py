"""Who may do what: every route names the least role it needs, and nobody gets anywhere without being known.

Two halves. :class:`Authentication` stands before all routes and lets nobody past who shows no token of the tokens file
(401); so what nobody thought of is closed. The dependencies ``VIEWER``, ``OPERATOR`` and ``ADMIN`` say at each route
how much its caller must be allowed (403); a route that says nothing stops the server's start.

Without a tokens file the server is bound to loopback, and whoever reaches it is its administrator.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem_document, problem_response
from app.api.roles import Caller, Role
from app.api.tokens import Tokens

LOCAL = Caller("", Role.ADMIN)
SOCKETS_PATH = "/socket.io/"  # sockets show their token in the handshake, which is Socket.IO's own affair
_BEARER = HTTPBearer(auto_error=False, description="a token of `yeeter tokens create`; none where no token is needed")


class NotKnown(Exception):
    """The caller is nobody this server knows; the text says what to do."""


class Access:
    """Makes callers of tokens."""

    def __init__(self, tokens: Tokens | None) -> None:
        """``tokens``: None where nobody needs one."""
        self._tokens = tokens

    def caller(self, token: str | None) -> Caller:
        """Who shows this token. Raises NotKnown."""
        if self._tokens is None:
            return LOCAL
        if not token:
            raise NotKnown("this server asks for a token; `yeeter tokens create` makes one, there")
        caller = self._tokens.caller(token)
        if caller is None:
            raise NotKnown("this server does not know the token; it was mistyped, taken back, or is another server's")
        return caller


def refusal(caller: Caller, needed: Role) -> dict[str, Any] | None:
    """The problem document for a caller who is not allowed so much."""
    if caller.role.includes(needed):
        return None
    detail = f"the token {caller.name!r} has the role {caller.role}, and this needs {needed}; use a token that has it"
    return problem_document(403, detail)


class Needs:
    """Dependency of a route: the least role of its callers."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(
        self, request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> None:
        problem = refusal(request.state.caller, self.role)
        if problem is not None:
            raise HTTPException(403, problem["detail"])


class Open:
    """Dependency of a route that everybody may ask."""

    async def __call__(self) -> None: ...


OPEN = Depends(Open())
VIEWER = Depends(Needs(Role.VIEWER))
OPERATOR = Depends(Needs(Role.OPERATOR))
ADMIN = Depends(Needs(Role.ADMIN))


def open_paths(routers: Iterable[APIRouter]) -> frozenset[str]:
    """The paths that everybody may ask.

    Raises:
        TypeError: a route does not say who may ask it, or an open one has a path parameter.
    """
    found = set()
    for route in (route for router in routers for route in router.routes):
        assert isinstance(route, APIRoute)
        said = [each.call for each in route.dependant.dependencies if isinstance(each.call, Needs | Open)]
        if len(said) != 1:
            raise TypeError(f"{route.methods} {route.path}: give it one of OPEN, VIEWER, OPERATOR, ADMIN")
        if isinstance(said[0], Open):
            if "{" in route.path:
                raise TypeError(f"{route.path}: an open route has one fixed path")
            found.add(route.path)
    return frozenset(found)


class Authentication:
    """ASGI middleware: requests get past with their caller (``request.state.caller``), or to an open path, or not."""

    def __init__(self, app: ASGIApp, access: Access, open_paths: frozenset[str]) -> None:
        self._app = app
        self._access = access
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in self._open_paths or scope["path"].startswith(SOCKETS_PATH):
            await self._app(scope, receive, send)
            return
        token = _bearer_token(Headers(scope=scope).get("authorization", ""))
        try:
            caller = self._access.caller(token)
        except NotKnown as error:
            await _not_known(str(error), token)(scope, receive, send)
            return
        await self._app({**scope, "state": {**scope.get("state", {}), "caller": caller}}, receive, send)


def _bearer_token(authorization: str) -> str | None:
    """The token of an Authorization header (RFC 6750 section 2.1)."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _not_known(detail: str, token: str | None) -> ASGIApp:
    """401; the challenge names an error only where a token was shown (RFC 6750 section 3.1)."""
    challenge = 'Bearer realm="yeeter"' + (', error="invalid_token"' if token else "")
    document = problem_document(401, f"{detail}; send it as `Authorization: Bearer TOKEN`")
    return problem_response(document, {"WWW-Authenticate": challenge, "Connection": "close"})
