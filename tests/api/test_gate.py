"""By which names a server may be asked, by which pages, and how much at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from app.api.application import create_app
from app.api.body import MAX_BODY, BodyLimits
from app.api.roles import Role
from app.bootstrap import bootstrap
from app.domain.errors import InvalidInput
from app.settings import load_settings
from tests.api.in_process import InProcess, in_process, tokens_file
from tests.api.test_problems import check_problem

PATH = "/api/simulator/runs"
OURS, DASHBOARD = "https://yeeter.example", "https://dashboard.example:8443"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InProcess, str]]:
    """An application with tokens and two origins, and a viewer's token."""
    home = tmp_path_factory.mktemp("gate")
    path, tokens = tokens_file(home)
    with in_process(home, tokens_file=path, allowed_origins=[OURS, DASHBOARD], host="192.0.2.10") as application:
        yield application, tokens[Role.VIEWER]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "yeeter.example"}, 200),
        ({"Host": "YEETER.example:9000"}, 200),
        ({"Host": "dashboard.example"}, 200),
        ({"Host": "192.0.2.10:8000"}, 200),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "yeeter.example.evil.example"}, 403),
        ({"Host": "10.0.0.7:8000"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "[::1"}, 403),
        ({"Origin": OURS}, 200),
        ({"Origin": DASHBOARD}, 200),
        ({"Host": "localhost:8000", "Origin": "http://localhost:8000"}, 200),
        ({"Origin": "http://yeeter.example"}, 403),
        ({"Origin": "https://yeeter.example:8443"}, 403),
        ({"Origin": "https://dashboard.example"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://yeeter.example.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"}, 403),
    ],
)
@pytest.mark.parametrize("path", [PATH, "/socket.io/?EIO=4&transport=polling"])
def test_names_and_origins_are_exact(opened: Any, path: str, headers: dict[str, str], status: int) -> None:
    application, token = opened
    response = application.ask("GET", path, token, headers=headers)
    if status == 200:
        assert response.status_code == 200, response.text
    else:
        assert "YEETER_ALLOWED_ORIGINS" in check_problem(response, status)["detail"]


def test_a_probe_asks_by_whatever_address_it_has(opened: Any, tmp_path: Path) -> None:
    application, _ = opened
    for path in ("/healthz", "/readyz"):
        assert application.ask("GET", path, headers={"Host": "10.0.0.7:8000"}).status_code == 200
    with in_process(tmp_path) as local:
        check_problem(local.ask("GET", "/healthz", headers={"Host": "10.0.0.7:8000"}), 403)


def test_a_page_of_an_allowed_origin_may_read_the_answers(opened: Any) -> None:
    application, token = opened
    response = application.ask("GET", PATH, token, headers={"Origin": DASHBOARD})
    assert response.headers["access-control-allow-origin"] == DASHBOARD
    assert "access-control-allow-credentials" not in response.headers
    refused = application.ask("GET", PATH, headers={"Origin": DASHBOARD})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, DASHBOARD)

    asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    allowed = application.ask("OPTIONS", PATH, headers={"Origin": DASHBOARD, **asking})
    assert allowed.status_code == 200 and "POST" in allowed.headers["access-control-allow-methods"]
    check_problem(application.ask("OPTIONS", PATH, headers={"Origin": "https://evil.example", **asking}), 403)


def test_without_tokens_no_page_is_allowed(tmp_path: Path) -> None:
    with (
        bootstrap(load_settings(home=tmp_path, allowed_origins=[OURS])) as bundle,
        pytest.raises(InvalidInput, match="YEETER_TOKENS_FILE"),
    ):
        create_app(bundle)


@pytest.mark.parametrize("origin", ["*", "yeeter.example", "https://", "https://a/", "https://a/b", "ftp://a", "null"])
def test_an_origin_that_is_none_stops_the_start(tmp_path: Path, origin: str) -> None:
    path, _ = tokens_file(tmp_path)
    settings = load_settings(home=tmp_path, tokens_file=path, allowed_origins=[origin])
    with bootstrap(settings) as bundle, pytest.raises(InvalidInput, match="YEETER_ALLOWED_ORIGINS"):
        create_app(bundle)


# --- bodies -----------------------------------------------------------------------------------------------------------


def body_answer(chunks: list[bytes | None], declared: int | None = None) -> tuple[int, bytes]:
    """The status, and the body that the application got; None stands for a client that sends no more."""
    got = b""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal got
        got = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask() -> int:
        waiting, statuses = list(chunks), []

        async def receive() -> dict[str, Any]:
            chunk = waiting.pop(0)
            if chunk is None:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

        async def send(message: Any) -> None:
            statuses.append(message.get("status"))

        headers = [] if declared is None else [(b"content-length", str(declared).encode())]
        await BodyLimits(application, seconds=0.05)({"type": "http", "headers": headers}, receive, send)
        return int(statuses[0])

    return asyncio.run(ask()), got


def test_a_body_comes_whole_or_not_at_all() -> None:
    assert body_answer([b"a", b"b", b""]) == (200, b"ab")
    assert body_answer([b"x" * MAX_BODY]) == (200, b"x" * MAX_BODY)
    assert body_answer([b"x" * MAX_BODY, b"x"]) == (413, b"")
    assert body_answer([], declared=100 * MAX_BODY) == (413, b"")
    assert body_answer([b"a", None]) == (408, b"")
