"""The same commands against a server: what it answers is what the local database would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.cli.backend.remote import RemoteBackend
from app.domain.errors import Conflict, InvalidInput, NotFound, Unavailable, YeeterError
from tests.cli.conftest import RealProgram, Yeeter

MINE = "name: mine\nsteps:\n- type: GENERATE_HL7\n- type: WAIT\n  parameters: {seconds: 1}\n"
INVALID = MINE.replace("seconds: 1", "seconds: soon")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """A server's address; its database is the one of its folder."""
    with RealProgram(folder).start("serve", "--port", "0") as program:
        yield program.wait_for_line(r"serving.*url=(\S+)")[1]


@pytest.fixture
def both(folder: Path, server: str, yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch) -> Yeeter:
    """Commands in the server's folder."""
    monkeypatch.chdir(folder)
    return yeeter


def test_a_run_on_a_server(folder: Path, server: str, both: Yeeter) -> None:
    result = RealProgram(folder)(
        *("run", "metadata-only", "--orders", "20", "--run-key", "7K3QX0AB", "--label", "a=b", "--json"),
        *("--junit", "junit.xml"),
        YEETER_SERVER=server,
    )
    assert result.code == 0, result.err
    assert 'failures="0"' in (folder / "junit.xml").read_text()
    assert result.json["orders"]["completed"] == 20
    assert result.err.startswith("run 7K3QX0AB: 20 orders of metadata-only")

    number = ("7K3QX0AB", "3")
    for command in (
        ("templates", "list"),
        ("templates", "show", "ct-chest"),
        ("templates", "steps", "list", "ct-chest"),
        ("runs", "list"),
        ("runs", "show", "7K3QX0AB"),
        ("runs", "metrics", "7K3QX0AB"),
        ("runs", "findings", "7K3QX0AB"),
        ("orders", "list", "7K3QX0AB"),
        ("orders", "show", *number),
        ("events", "7K3QX0AB", "--limit", "50"),
    ):
        local, remote = both(*command, "--json"), both(*command, "--json", "--server", server)
        assert local.code == remote.code == 0, remote.err
        assert local.json == remote.json, command
    followed = both("events", "7K3QX0AB", "--follow", "--json", "--server", server)
    assert json.loads(followed.out.splitlines()[-1])["data"]["state"] == "COMPLETED"

    taken = both("run", "metadata-only", "--run-key", "7K3QX0AB", "--server", server)
    assert taken.code == 1
    assert "run key 7K3QX0AB is taken" in taken.errors[0] and "yeeter runs delete 7K3QX0AB" in taken.errors[0]
    assert both("runs", "delete", "7K3QX0AB", "--server", server).code == 0


def test_a_run_that_is_left_to_its_server_can_be_cancelled(server: str, both: Yeeter) -> None:
    slow = ("--orders", "3000", "--rate", "5", "--no-wait", "--json", "--server", server)
    started = both("run", "metadata-only", *slow).json
    cancelled = both("runs", "cancel", started["run_key"], "--json", "--server", server).json
    assert (cancelled["id"], cancelled["state"]) == (started["id"], "CANCELLING")
    list(both("events", started["id"], "--follow", "--server", server).out)
    assert both("runs", "show", started["id"], "--json", "--server", server).json["state"] == "CANCELLED"


def test_templates_on_a_server(server: str, both: Yeeter) -> None:
    assert both("templates", "add", "-", "--server", server, stdin=MINE).code == 0
    changed = both("templates", "steps", "set", "mine", "1", "parameters.seconds=2", "--server", server, "--json")
    assert changed.json["document"]["steps"][1]["parameters"] == {"seconds": 2}
    assert both("templates", "show", "mine", "--json").json == changed.json
    assert both("templates", "remove", "mine", "--server", server).code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "absent"), 2),
        (("run", "metadata-only", "--set", "study.pixel=tiny"), 2),
        (("run", "metadata-only", "--run-key", "short"), 2),
        (("run", "metadata-only", "--orders", "99999999"), 2),
        (("templates", "validate", "-"), 2),
        (("templates", "show", "absent"), 1),
        (("templates", "copy", "ct-chest", "xr-chest"), 1),
        (("runs", "show", "absent"), 1),
        (("runs", "delete", "a b?c=%2e"), 1),
        (("events", "absent"), 1),
    ],
)
def test_errors_are_those_of_the_local_database(
    server: str, both: Yeeter, arguments: tuple[str, ...], code: int
) -> None:
    local = both(*arguments, stdin=INVALID)
    remote = both(*arguments, "--server", server, stdin=INVALID)
    assert local.code == remote.code == code
    assert local.errors == remote.errors != []


def test_more_connections_need_a_destination_to_connect_to(server: str, both: Yeeter) -> None:
    result = both("run", "metadata-only", "--connections", "3", "--server", server)
    assert (result.code, result.errors) == (
        2,
        ["--connections: the template names no order receiver (give --hl7, too)"],
    )


def test_doctor_asks_the_server(server: str, both: Yeeter) -> None:
    result = both("doctor", "--server", server, "--json")
    assert result.code == 0
    connections = ["database", "broker", "study store", "API"]
    upkeep = ["queues", "destinations", "dead letters"]
    assert [check["name"] for check in result.json["checks"]] == connections + upkeep


@pytest.mark.parametrize(
    ("status", "body", "kind", "text"),
    [
        (404, {"detail": "no such run"}, NotFound, "no such run"),
        (409, {"detail": "it has ended"}, Conflict, "it has ended"),
        (503, {"detail": "the database is away"}, Unavailable, "the database is away"),
        (400, {"detail": "not JSON"}, InvalidInput, "not JSON"),
        (413, {"detail": "too large"}, InvalidInput, "too large"),
        (
            422,
            {"detail": "x", "problems": [{"field": "orders", "problem": "too few", "cure": "give more"}]},
            InvalidInput,
            "orders: too few (give more)",
        ),
        (403, {"detail": "ask it as localhost"}, YeeterError, "ask it as localhost"),
        (500, {"detail": "a defect of the server"}, YeeterError, "a defect of the server"),
        (502, "<html>bad gateway</html>", YeeterError, "http://yeeter answered 502, not as this API does"),
        (200, "<html>welcome</html>", YeeterError, "http://yeeter answered 200, not as this API does"),
        (404, {"error": "nginx"}, YeeterError, "http://yeeter answered 404, not as this API does"),
    ],
)
def test_what_a_server_answers_becomes_an_error_of_ours(
    status: int, body: object, kind: type[YeeterError], text: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text=body) if isinstance(body, str) else httpx.Response(status, json=body)

    with RemoteBackend("http://yeeter/", httpx.MockTransport(answer)) as backend, pytest.raises(YeeterError) as caught:
        backend.run("A")
    assert type(caught.value) is kind
    assert str(caught.value).startswith(text)


def test_long_listings_are_read_page_by_page() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        first = int(request.url.params.get("after", 0))
        rows = [{"number": number} for number in range(first, first + int(request.url.params["limit"]))]
        return httpx.Response(200, json={"items": rows, "next_cursor": str(first + len(rows))})

    with RemoteBackend("http://yeeter", httpx.MockTransport(answer)) as backend:
        rows = backend.orders("A", None, None, 1100)
    assert [row["number"] for row in rows] == list(range(1100))
    assert asked == [{"limit": "500"}, {"after": "500", "limit": "500"}, {"after": "1000", "limit": "100"}]
