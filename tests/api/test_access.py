"""A server that asks for tokens, as people run it: over REST, over a real websocket, and from the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import socketio
from pydantic import SecretStr

from app.api.access import Access
from app.api.live.sockets import NAMESPACE, Sockets
from app.api.roles import Role
from app.cli.backend.remote import RemoteBackend
from app.domain.errors import YeeterError
from tests.api.conftest import RUNS, TEMPLATES, Server, running_server
from tests.api.in_process import in_process, tokens_file
from tests.api.test_problems import check_problem


@dataclass(frozen=True)
class Guarded:
    server: Server
    file: Path
    tokens: dict[Role, str]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A server that is bound to every address of this machine."""
    home = tmp_path_factory.mktemp("guarded")
    file, tokens = tokens_file(home)
    with running_server(home / "server", YEETER_TOKENS_FILE=str(file), YEETER_HOST="0.0.0.0") as server:
        yield Guarded(server, file, tokens)
        for token in tokens.values():
            assert token not in server.program.output


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_with_tokens_it_may_be_reached_from_elsewhere(guarded: Guarded) -> None:
    http = guarded.server.http
    assert "://0.0.0.0:" in guarded.server.url
    assert http.get("/healthz").status_code == http.get("/readyz").status_code == 200
    check_problem(http.get(RUNS), 401)
    assert http.get(RUNS, headers=bearer(guarded.tokens[Role.VIEWER])).status_code == 200
    check_problem(http.delete(f"{RUNS}/1", headers=bearer(guarded.tokens[Role.VIEWER])), 403)


# --- sockets ----------------------------------------------------------------------------------------------------------


def connect(guarded: Guarded, auth: Any) -> Any:
    """What a client is told that asks for a run that is not there; the reason when it is not let in."""

    async def ask() -> Any:
        client = socketio.AsyncClient(reconnection=False)
        refused: list[Any] = []
        client.on("connect_error", refused.append, namespace=NAMESPACE)
        try:
            await client.connect(guarded.server.url, auth=auth, namespaces=[NAMESPACE], transports=["websocket"])
        except socketio.exceptions.ConnectionError:
            return refused[0]
        answer = await client.call("subscribe", {"run_id": "nobody"}, namespace=NAMESPACE, timeout=30)
        await client.disconnect()
        return answer

    return asyncio.run(ask())


def test_a_socket_shows_its_token_in_the_handshake(guarded: Guarded) -> None:
    assert connect(guarded, {"token": guarded.tokens[Role.VIEWER]})["problem"]["status"] == 404
    for auth in (None, {}, {"token": "x"}, {"token": 5}, {"token": None}, "token", {"other": "x"}):
        refusal = connect(guarded, auth)
        assert refusal["data"]["status"] == 401
        assert "token" in refusal["message"]


def test_a_token_that_is_taken_back_is_refused_on_an_open_socket_and_closes_it(guarded: Guarded) -> None:
    before = guarded.file.read_text(encoding="utf-8")

    async def ask() -> list[int]:
        client = socketio.AsyncClient(reconnection=False)
        auth = {"token": guarded.tokens[Role.VIEWER]}
        await client.connect(guarded.server.url, auth=auth, namespaces=[NAMESPACE], transports=["websocket"])
        statuses = []
        closed = asyncio.Event()
        client.on("disconnect", lambda _: closed.set(), namespace=NAMESPACE)
        for text in (before, before.replace("name: viewer,", "name: another,"), "[]"):
            rewrite(guarded.file, text)
            answer = await client.call("subscribe", {"run_id": "nobody"}, namespace=NAMESPACE, timeout=30)
            statuses.append(answer["problem"]["status"])
        await asyncio.wait_for(closed.wait(), 60)
        return statuses

    try:
        assert asyncio.run(ask()) == [404, 404, 401]
    finally:
        rewrite(guarded.file, before)


def rewrite(path: Path, text: str) -> None:
    """Replace the file whole, so that nobody reads half of it."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.rename(path)


def test_sockets_are_counted_before_they_say_who_they_are(tmp_path: Path) -> None:
    polling = "/socket.io/?EIO=4&transport=polling"

    async def ask(sockets: Sockets) -> list[int]:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        path, _, query = polling.partition("?")
        scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": query.encode()}
        for extra in (b"", b"&xsid=1", b"&sid="):
            scope["query_string"] = query.encode() + extra
            await sockets.application(nothing)(dict(scope), receive, send)
        return statuses

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("not a socket")

    with in_process(tmp_path) as application:
        sockets = Sockets(application.bundle.database, Access(None), dict, max_sockets=1)
        assert asyncio.run(ask(sockets)) == [200, 503, 503]


# --- the command line -------------------------------------------------------------------------------------------------


def backend(guarded: Guarded, token: str | None) -> RemoteBackend:
    return RemoteBackend(guarded.server.url, token=SecretStr(token) if token is not None else None)


def test_the_command_line_shows_its_token(guarded: Guarded) -> None:
    with backend(guarded, guarded.tokens[Role.OPERATOR] + "\n") as remote:
        assert "ct-chest" in [row["name"] for row in remote.templates()]
        assert remote.check().startswith(guarded.server.url)


@pytest.mark.parametrize(
    ("token", "text"),
    [
        (None, "asks for a token: set YEETER_TOKEN"),
        ("", "asks for a token: set YEETER_TOKEN"),
        ("yeeter_x", "does not know the token in YEETER_TOKEN"),
        ("not a token", "YEETER_TOKEN: is no token"),
        ("grün", "YEETER_TOKEN: is no token"),
    ],
)
def test_the_command_line_says_what_is_missing(guarded: Guarded, token: str | None, text: str) -> None:
    with pytest.raises(YeeterError) as caught, backend(guarded, token) as remote:
        remote.templates()
    assert text in str(caught.value)
    assert not token or token not in str(caught.value)


def test_the_command_line_says_that_a_token_may_not_so_much(guarded: Guarded) -> None:
    said = "'viewer' has the role viewer, and this needs operator"
    with backend(guarded, guarded.tokens[Role.VIEWER]) as remote, pytest.raises(YeeterError, match=said) as caught:
        remote.remove_template("ct-chest")
    assert type(caught.value) is YeeterError
    assert guarded.server.http.get(f"{TEMPLATES}/ct-chest", headers=bearer(guarded.tokens[Role.VIEWER])).is_success
