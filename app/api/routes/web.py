"""The dashboard: one page and what it loads. Open to everybody: what it shows, it asks for with a token."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from app.api.access import OPEN

FOLDER = Path(__file__).resolve().parent.parent / "web"
SERVED = {".html", ".css", ".js", ".svg"}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # it is asked for again, and answered with 304 while it is the same
}

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def _file(path: Path) -> Handler:
    content = path.read_bytes()
    media_type = mimetypes.types_map[path.suffix]
    tag = f'"{sha256(content).hexdigest()[:32]}"'

    async def serve(request: Request) -> Response:
        headers = _HEADERS | {"ETag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=media_type, headers=headers)

    return serve


def _routes() -> APIRouter:
    """A route for each file, so that no path of a request is ever looked up among files."""
    router = APIRouter()
    for path in sorted(path for path in FOLDER.rglob("*") if path.suffix in SERVED):
        name = path.relative_to(FOLDER).as_posix()
        url = "/" if name == "index.html" else f"/web/{name}"
        router.add_api_route(url, _file(path), methods=["GET"], dependencies=[OPEN], include_in_schema=False)
    return router


router = _routes()
