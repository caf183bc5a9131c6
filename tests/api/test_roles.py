"""Who may do what: every route and every socket event, with no token and with one of each role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
from fastapi import APIRouter

from app.api.access import VIEWER, Access, open_paths
from app.api.application import ROUTERS
from app.api.live.sockets import NAMESPACE, Sockets
from app.api.roles import Role
from app.api.routes import web
from app.api.tokens import Tokens
from tests.api.in_process import InProcess, in_process, tokens_file
from tests.api.test_problems import check_problem

OPEN = None  # to everybody
TEMPLATES, RUNS, ADMIN = "/api/simulator/templates", "/api/simulator/runs", "/api/admin"

ROUTES: dict[tuple[str, str], Role | None] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/api/access"): Role.VIEWER,
    ("POST", "/api/simulator/destinations/check"): Role.OPERATOR,
    ("GET", "/api/monitoring/status"): Role.VIEWER,
    ("GET", "/metrics"): Role.VIEWER,
    ("GET", "/api/monitoring/health/broker"): Role.VIEWER,
    ("GET", "/api/monitoring/health/database"): Role.VIEWER,
    ("GET", "/api/monitoring/health/destinations"): Role.VIEWER,
    ("GET", "/api/monitoring/health/workers"): Role.VIEWER,
    ("GET", "/api/monitoring/metrics/processing"): Role.VIEWER,
    ("GET", "/api/monitoring/metrics/queue"): Role.VIEWER,
    ("GET", "/api/monitoring/metrics/workers"): Role.VIEWER,
    ("GET", TEMPLATES): Role.VIEWER,
    ("POST", TEMPLATES): Role.OPERATOR,
    ("POST", f"{TEMPLATES}/validate"): Role.OPERATOR,
    ("GET", f"{TEMPLATES}/{{id}}"): Role.VIEWER,
    ("PUT", f"{TEMPLATES}/{{id}}"): Role.OPERATOR,
    ("DELETE", f"{TEMPLATES}/{{id}}"): Role.OPERATOR,
    ("GET", f"{TEMPLATES}/{{id}}/steps"): Role.VIEWER,
    ("POST", f"{TEMPLATES}/{{id}}/steps"): Role.OPERATOR,
    ("GET", f"{TEMPLATES}/{{id}}/steps/{{position}}"): Role.VIEWER,
    ("PUT", f"{TEMPLATES}/{{id}}/steps/{{position}}"): Role.OPERATOR,
    ("DELETE", f"{TEMPLATES}/{{id}}/steps/{{position}}"): Role.OPERATOR,
    ("GET", "/api/simulator/step-types"): Role.VIEWER,
    ("GET", RUNS): Role.VIEWER,
    ("POST", RUNS): Role.OPERATOR,
    ("GET", f"{RUNS}/{{id}}"): Role.VIEWER,
    ("DELETE", f"{RUNS}/{{id}}"): Role.OPERATOR,
    ("POST", f"{RUNS}/{{id}}/cancel"): Role.OPERATOR,
    ("POST", f"{RUNS}/{{id}}/pause"): Role.OPERATOR,
    ("POST", f"{RUNS}/{{id}}/resume"): Role.OPERATOR,
    ("GET", f"{RUNS}/{{id}}/events"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/findings"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/metrics"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/metrics/detail"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/metrics/{{table}}.csv"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/report"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/comparison/{{other}}"): Role.VIEWER,
    ("GET", "/api/metrics/runs"): Role.VIEWER,
    ("GET", "/api/metrics/workers"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/orders"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/orders/{{number}}"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/orders/{{number}}/instances"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/orders/{{number}}/instances/{{index}}"): Role.VIEWER,
    ("GET", f"{RUNS}/{{id}}/orders/{{number}}/instances/{{index}}/thumbnail"): Role.VIEWER,
    ("GET", f"{ADMIN}/queues"): Role.VIEWER,
    ("GET", f"{ADMIN}/workers"): Role.VIEWER,
    ("POST", f"{ADMIN}/workers/scale"): Role.ADMIN,
    ("GET", f"{ADMIN}/scaling-decisions"): Role.VIEWER,
    ("POST", f"{ADMIN}/queues/{{name}}/purge"): Role.ADMIN,
    ("POST", f"{ADMIN}/queues/{{name}}/release"): Role.ADMIN,
    ("GET", f"{ADMIN}/dead-letters"): Role.VIEWER,
    ("GET", f"{ADMIN}/dead-letters/statistics"): Role.VIEWER,
    ("POST", f"{ADMIN}/dead-letters/retry"): Role.OPERATOR,
    ("POST", f"{ADMIN}/dead-letters/discard"): Role.ADMIN,
    ("GET", f"{ADMIN}/dead-letters/{{id}}"): Role.VIEWER,
    ("DELETE", f"{ADMIN}/dead-letters/{{id}}"): Role.ADMIN,
    ("POST", f"{ADMIN}/dead-letters/{{id}}/retry"): Role.OPERATOR,
}
# The framework's own, which no document describes; and what is not there is not told to strangers either.
WEB = {(method, route.path): OPEN for route in web.router.routes for method in route.methods}  # the page shows nothing
UNDESCRIBED: dict[tuple[str, str], Role | None] = {
    ("GET", "/openapi.json"): Role.VIEWER,
    ("GET", "/docs"): Role.VIEWER,
    ("GET", "/redoc"): Role.VIEWER,
    ("GET", "/docs/oauth2-redirect"): Role.VIEWER,
    ("GET", "/nowhere"): Role.VIEWER,
    ("PATCH", "/healthz/"): Role.VIEWER,
}
EVENTS: dict[str, Role | None] = {
    "connect": Role.VIEWER,
    "subscribe": Role.VIEWER,
    "unsubscribe": Role.VIEWER,
    "disconnect": OPEN,
}

CALLERS = (None, *Role)
SAMPLE = {"{id}": "1", "{name}": "1", "{position}": "0", "{number}": "0", "{index}": "0"}


def may(caller: Role | None, needed: Role | None) -> bool:
    return needed is None or (caller is not None and list(Role).index(caller) >= list(Role).index(needed))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InProcess, dict[Role | None, str | None]]]:
    """An application that asks for tokens, and the token of each caller."""
    home = tmp_path_factory.mktemp("roles")
    path, tokens = tokens_file(home)
    with in_process(home, tokens_file=path) as application:
        yield application, {None: None, **tokens}


def test_every_route_has_a_row(server: tuple[InProcess, Any]) -> None:
    application, tokens = server
    document = application.ask("GET", "/openapi.json", tokens[Role.VIEWER]).json()
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    routes = [route for router in ROUTERS for route in router.routes]
    made = {(method, route.path) for route in routes for method in route.methods}
    assert described | made == set(ROUTES | WEB), "give the new route a row: who may ask it?"


ROWS = [pytest.param(*row, needed, id=" ".join(row)) for row, needed in (ROUTES | UNDESCRIBED | WEB).items()]


def called(caller: Role | None) -> str:
    return str(caller or "nobody")


@pytest.mark.parametrize("caller", CALLERS, ids=called)
@pytest.mark.parametrize(("method", "path", "needed"), ROWS)
def test_a_route_is_for_its_role_and_those_above(
    server: Any, method: str, path: str, needed: Role | None, caller: Role | None
) -> None:
    application, tokens = server
    for name, value in SAMPLE.items():
        path = path.replace(name, value)
    response = application.ask(method, path, tokens[caller], json={} if method in ("POST", "PUT") else None)
    if may(caller, needed):
        assert response.status_code not in (401, 403) and response.status_code < 500, response.text
    else:
        problem = check_problem(response, 403 if caller else 401)
        assert (str(needed) if caller else "Bearer") in problem["detail"]
        assert ("www-authenticate" in response.headers) is (caller is None)


def test_a_route_that_says_nothing_stops_the_start() -> None:
    router = APIRouter()
    router.add_api_route("/forgotten", lambda: None)
    with pytest.raises(TypeError, match="/forgotten: give it one of"):
        open_paths([router])
    contradictory = APIRouter()
    contradictory.add_api_route("/both", lambda: None, dependencies=[VIEWER, VIEWER])
    with pytest.raises(TypeError, match="/both"):
        open_paths([contradictory])


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "challenge"),
    [
        ("", 'Bearer realm="yeeter"'),
        ("Basic {token}", 'Bearer realm="yeeter"'),
        ("Bearer", 'Bearer realm="yeeter"'),
        ("Bearer ", 'Bearer realm="yeeter"'),
        ("Bearer x{token}", 'Bearer realm="yeeter", error="invalid_token"'),
        ("Bearer {token} {token}", 'Bearer realm="yeeter", error="invalid_token"'),
        ("{token}", 'Bearer realm="yeeter"'),
    ],
)
def test_what_is_no_token_is_answered_with_a_challenge(server: Any, authorization: str, challenge: str) -> None:
    application, tokens = server
    headers = {"Authorization": authorization.format(token=tokens[Role.ADMIN])}
    response = application.ask("GET", RUNS, headers=headers)
    assert check_problem(response, 401)["detail"]
    assert response.headers["www-authenticate"] == challenge


def test_the_scheme_is_named_in_any_case(server: Any) -> None:
    application, tokens = server
    response = application.ask("GET", RUNS, headers={"Authorization": f"bEARER  {tokens[Role.VIEWER]} "})
    assert response.status_code == 200


def test_nobody_is_refused_before_his_body_is_read(server: Any) -> None:
    application, _ = server

    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    check_problem(application.ask("POST", RUNS, content=never()), 401)


def test_without_tokens_everybody_is_the_administrator(tmp_path: Path) -> None:
    with in_process(tmp_path) as application:
        for (method, path), needed in ROUTES.items():
            if needed is Role.ADMIN:
                answer = application.ask(method, path.replace("{id}", "1").replace("{name}", "1"), json={})
                assert answer.status_code not in (401, 403), answer.text


# --- sockets ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sockets(server: Any) -> Sockets:
    application, _ = server
    return Sockets(application.bundle.database, Access(Tokens(application.bundle.settings.tokens_file)), dict)


def handlers(sockets: Sockets) -> dict[str, Any]:
    return dict(sockets.server.handlers[NAMESPACE])


def test_every_socket_event_has_a_row(sockets: Sockets) -> None:
    assert set(handlers(sockets)) == set(EVENTS), "give the new event a row: who may send it?"


@pytest.mark.parametrize("caller", CALLERS, ids=called)
@pytest.mark.parametrize("event", EVENTS)
def test_an_event_is_for_its_role_and_those_above(
    server: Any, sockets: Sockets, event: str, caller: Role | None
) -> None:
    _, tokens = server
    given = handlers(sockets)
    allowed = may(caller, EVENTS[event])

    async def send() -> None:
        refused = None
        try:
            await given["connect"]("sid", {}, {"token": tokens[caller]})
        except socketio.exceptions.ConnectionRefusedError as error:
            refused = error.error_args["data"]["status"]
        assert refused == (None if may(caller, EVENTS["connect"]) else 401)
        if event == "disconnect":
            await given[event]("sid", "gone")
        elif event != "connect":
            answer = await given[event]("sid", {"run_id": "nobody"})
            assert answer["problem"]["status"] == (404 if allowed else 401)

    asyncio.run(send())


def test_an_event_of_a_higher_role_is_refused(server: Any, sockets: Sockets) -> None:
    _, tokens = server

    async def handle(sid: str, data: Any) -> dict[str, Any]:
        return {"ok": True}

    async def send() -> list[dict[str, Any]]:
        answers = []
        for role in Role:
            await handlers(sockets)["connect"](role, {}, {"token": tokens[role]})
            answers.append(await handlers(sockets)["scale"](role, {}))
        return answers

    sockets.offer("scale", Role.OPERATOR, handle)
    refused, *answered = asyncio.run(send())
    assert refused["problem"]["status"] == 403 and "operator" in refused["problem"]["detail"]
    assert answered == [{"ok": True}] * 2
