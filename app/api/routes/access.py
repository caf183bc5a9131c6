"""``/api/access``: who the caller is to this server."""

from __future__ import annotations

from fastapi import APIRouter, Request

from app.api.access import VIEWER
from app.api.problems import responses
from app.api.roles import Role
from app.api.views import View

router = APIRouter(tags=["access"])


class AccessView(View):
    """The caller; the name is empty where nobody needs a token."""

    name: str
    role: Role


@router.get("/api/access", dependencies=[VIEWER], responses=responses())
async def get_access(request: Request) -> AccessView:
    """Whose token it is that the request shows, and what they may do."""
    return AccessView(name=request.state.caller.name, role=request.state.caller.role)
