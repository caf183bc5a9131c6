"""The server itself: what it binds to, what it waits for, how it ends, and what it says of itself."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.database import SqlDatabase
from app.api.application import create_app
from app.api.server import serve
from app.bootstrap import Bundle, bootstrap
from app.domain.errors import InvalidInput
from app.settings import load_settings
from tests.api.conftest import RUNS, SERVE, TEMPLATES, TERMINAL, Server, environment, running_server
from tests.api.test_problems import check_problem
from tests.api.test_roles import ROUTES
from tests.services.processes import Program, free_port


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no such host"])
def test_without_tokens_only_loopback_is_bound_to(host: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        serve(load_settings(host=host, port=0, home=tmp_path))
    (problem,) = caught.value.problems
    assert problem.field == "YEETER_HOST"
    assert problem.cure
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InvalidInput, match="YEETER_PORT"):
        serve(load_settings(port=taken.getsockname()[1], home=tmp_path))


def test_it_waits_for_the_database_and_says_so(tmp_path: Path) -> None:
    url = f"postgresql://yeeter@127.0.0.1:{free_port()}/yeeter"
    command = [sys.executable, "-c", SERVE]
    with Program(command, tmp_path / "log", environment(tmp_path, DATABASE_URL=url)) as program:
        program.wait_for_line("waiting for the database.*refused", 60)
        assert program.running
        assert "serving" not in program.output


def test_a_stopping_server_leaves_its_runs_to_the_next(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        run = server.start_run(orders=60, overrides={"arrival": {"model": "constant", "rate": 10}})
        server.wait_for(run["id"], lambda state: state == "RUNNING")
        (pid,) = server.producers(run["id"])
        assert server.program.terminate(60) == 0
    assert "Traceback" not in server.program.output
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with running_server(tmp_path / "next", YEETER_HOME=str(tmp_path)) as server:
        ended = server.wait_for(run["id"], lambda state: state in TERMINAL, 180)
        assert (ended["state"], ended["verdict"]) == ("COMPLETED", "pass")
        assert server.summary(run["id"])["orders"]["completed"] == 60


def test_without_built_in_receivers_destinations_are_asked_for(tmp_path: Path) -> None:
    with running_server(tmp_path, RABBITMQ_URL=f"amqp://127.0.0.1:{free_port()}") as server:
        ready = server.http.get("/readyz")
        assert ready.status_code == 503
        assert (ready.json()["database"]["ready"], ready.json()["broker"]["ready"]) == (True, False)
        assert "RabbitMQ" in ready.json()["broker"]["detail"]
        assert server.http.get("/healthz").status_code == 200
        refused = server.http.post(RUNS, json={"template": "metadata-only"})
        fields = [problem["field"] for problem in check_problem(refused, 422)["problems"]]
        assert fields == ["destinations.hl7", "destinations.dicom"]
        assert server.http.get(RUNS).json()["items"] == []


def test_it_says_how_it_is(server: Server) -> None:
    assert server.http.get("/healthz").json() == {"status": "ok"}
    ready = server.http.get("/readyz").json()
    assert ready["ready"] is True
    assert ready["database"]["detail"].startswith("sqlite")
    status = server.http.get("/api/monitoring/status").json()
    assert status["version"]
    assert status["broker"]["detail"].startswith("in-process")
    home = server.http.get("/")
    assert home.headers["content-type"].startswith("text/html")
    assert 'src="web/js/main.js"' in home.text
    assert server.http.get("/docs").status_code == 200


def test_openapi_describes_every_route_and_its_problems(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    assert set(document["paths"]) == {path for _, path in ROUTES if path != "/"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            errors = {status: response for status, response in operation["responses"].items() if status >= "400"}
            if path.startswith("/api/"):
                assert {"400", "401", "403", "408", "413", "422", "500", "503"} <= set(errors), (method, path)
                assert {tuple(response["content"]) for response in errors.values()} == {("application/problem+json",)}
            if "{id}" in path:
                assert "404" in errors
    assert _dangling(document) == set()


def _dangling(document: dict[str, Any]) -> set[str]:
    """Schemas that are referred to and not there."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                found.add(reference.removeprefix("#/components/schemas/"))
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)
    return found - set(document["components"]["schemas"])


# --- in this process --------------------------------------------------------------------------------------------------


def ask(bundle: Bundle, *paths: str) -> list[httpx.Response]:
    """The answers of an application over these adapters."""

    async def answers() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(bundle), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(answers())


def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, database_url=f"postgresql://yeeter@127.0.0.1:{free_port()}/yeeter")
    with bootstrap(settings) as bundle:
        *refused, ready, status = ask(bundle, RUNS, TEMPLATES, f"{RUNS}/x/events", "/readyz", "/api/monitoring/status")
    for response in refused:
        assert "refused" in check_problem(response, 503)["detail"]
        assert response.headers["retry-after"]
    assert ready.status_code == 503
    assert (status.json()["ready"], status.json()["active_runs"]) == (False, [])


def test_a_defect_is_told_without_a_traceback(tmp_path: Path) -> None:
    class Defective(SqlDatabase):
        @property
        def queries(self) -> Any:
            raise AssertionError("secret detail")

        @queries.setter
        def queries(self, value: Any) -> None:
            pass

    with bootstrap(load_settings(home=tmp_path)) as bundle:
        (response,) = ask(replace(bundle, database=Defective(f"sqlite:///{tmp_path / 'yeeter.db'}")), RUNS)
    check_problem(response, 500)
    assert "secret" not in response.text


def test_a_setting_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, port=0, allowed_destinations=["http://pacs"])
    with pytest.raises(InvalidInput, match="YEETER_ALLOWED_DESTINATIONS"):
        serve(settings)
