"""Passwords and tokens are shown nowhere: not when all is well, nor when a service is away, refuses or is misnamed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import RealProgram, Result, Yeeter
from tests.services.postgres import Postgres
from tests.services.processes import free_port
from tests.services.rabbitmq import RabbitMq

CANARY = "c4nary-Pa55"
SECRETS = ("RABBITMQ_URL", "DATABASE_URL", "YEETER_TOKEN")


class Told:
    """Runs commands with secrets set, and keeps every word that is said."""

    def __init__(self, yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
        self._yeeter = yeeter
        self._monkeypatch = monkeypatch
        self._caplog = caplog
        caplog.set_level(logging.DEBUG)  # the libraries', too
        monkeypatch.setenv("YEETER_LOG_LEVEL", "debug")

    def __call__(self, *arguments: str, **environment: str) -> Result:
        """Run with these secrets; none of them may be told."""
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        result = self._yeeter(*arguments)
        for words in (result.out, result.err, self._caplog.text):
            assert CANARY not in words
        return result


@pytest.fixture
def told(yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Told:
    return Told(yeeter, monkeypatch, caplog)


@pytest.fixture
def refusing_api() -> Iterator[str]:
    """A server that takes no token, and repeats none."""

    class Refuse(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refuse)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_settings_hide_them(told: Told) -> None:
    given = {
        "RABBITMQ_URL": f"amqp://yeeter:{CANARY}@127.0.0.1:1/",
        "DATABASE_URL": f"postgresql://yeeter:{CANARY}@127.0.0.1:1/yeeter",
        "YEETER_TOKEN": CANARY,
    }
    shown = told("settings", "--json", **given).json
    assert all(set(shown[name]) == {"*"} for name in SECRETS)
    assert told("settings").code == 0


def test_services_that_are_away(told: Told) -> None:
    port = free_port()
    given = {
        "RABBITMQ_URL": f"amqp://yeeter:{CANARY}@127.0.0.1:{port}/",
        "DATABASE_URL": f"postgresql://yeeter:{CANARY}@127.0.0.1:{port}/yeeter",
        "YEETER_SERVER": f"http://127.0.0.1:{port}",
        "YEETER_TOKEN": CANARY,
    }
    checks = {check["name"]: check["ok"] for check in told("doctor", "--json", **given).json["checks"]}
    assert not any(checks[name] for name in ("broker", "database", "API"))
    assert told("runs", "list").code == 1
    assert told("db", "upgrade").code == 1
    assert told("run", "metadata-only", "--orders", "1", YEETER_SERVER="").code == 1


def test_a_study_store_that_can_be_written_and_one_that_can_not(told: Told, bucket: str) -> None:
    def study_store(location: str) -> dict[str, object]:
        checks = told("doctor", "--json", YEETER_STUDY_STORE=location, AWS_SECRET_ACCESS_KEY=CANARY).json["checks"]
        (check,) = [check for check in checks if check["name"] == "study store"]
        return {key: check[key] for key in ("ok", "detail")}

    address = f"s3://{bucket}/studies"
    assert study_store(address) == {"ok": True, "detail": f"{address}: writable"}
    missing = study_store(f"s3://{bucket}-not/studies")
    assert not missing["ok"] and "is the bucket there?" in str(missing["detail"])
    assert told("doctor", YEETER_STUDY_STORE=f"s3://key:{CANARY}@{bucket}").code == 2


def test_services_that_refuse(told: Told, rabbitmq: RabbitMq, postgres: Postgres, refusing_api: str) -> None:
    given = {
        "RABBITMQ_URL": f"amqp://yeeter:{CANARY}@127.0.0.1:{rabbitmq.port}/",
        "DATABASE_URL": f"postgresql://yeeter:{CANARY}@127.0.0.1:{postgres.port}/nowhere",
        "YEETER_SERVER": refusing_api,
        "YEETER_TOKEN": CANARY,
    }
    checks = {check["name"]: check for check in told("doctor", "--json", **given).json["checks"]}
    assert "ACCESS_REFUSED" in checks["broker"]["detail"]
    assert "does not exist" in checks["database"]["detail"]
    assert not checks["API"]["ok"]
    assert told("runs", "list").code == 1
    assert told("run", "metadata-only", "--orders", "1", YEETER_SERVER="").code == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RABBITMQ_URL", f"amqp://yeeter:{CANARY}#7@127.0.0.1/"),
        ("RABBITMQ_URL", f"amqp://yeeter:12{CANARY}/x@127.0.0.1:5672/"),
        ("RABBITMQ_URL", f"http://yeeter:{CANARY}@127.0.0.1/"),
        ("RABBITMQ_URL", f"amqp://yeeter:{CANARY}@127.0.0.1/?no_such_option={CANARY}"),
        ("DATABASE_URL", f"postgresql://yeeter:{CANARY}@x@127.0.0.1/yeeter"),
        ("DATABASE_URL", f"postgresql://yeeter:12{CANARY}/x@127.0.0.1:1/yeeter"),
        ("DATABASE_URL", f"mysql://yeeter:{CANARY}@127.0.0.1/yeeter"),
        ("DATABASE_URL", f"yeeter:{CANARY}@127.0.0.1"),
        ("DATABASE_URL", f"postgresql://yeeter:{CANARY}@127.0.0.1:1/yeeter?no_such_option={CANARY}"),
    ],
)
def test_addresses_that_can_not_be_read(told: Told, name: str, value: str) -> None:
    result = told("doctor", **{name: value})
    assert result.code != 0


@pytest.mark.parametrize("token", [f"{CANARY}\n", f"{CANARY}\N{EURO SIGN}", f" {CANARY}\r\nX: y"])
def test_a_token_that_can_not_be_sent(told: Told, refusing_api: str, token: str) -> None:
    assert told("runs", "list", YEETER_SERVER=refusing_api, YEETER_TOKEN=token).code in (1, 2)


@pytest.mark.parametrize("text", ["database_url: [{url}", "database_url: {url}: x", "- {url}", "port: {url}"])
def test_a_settings_file_that_can_not_be_read(told: Told, tmp_path: Path, text: str) -> None:
    file = tmp_path / "yeeter.yaml"
    file.write_text("# first\n" + text.format(url=f"postgresql://yeeter:{CANARY}@127.0.0.1/yeeter"))
    assert told("settings", YEETER_CONFIG=str(file)).code == 2


@pytest.mark.parametrize("service", ["database", "broker"])
def test_a_worker_that_waits_for_a_service(service: str, program: RealProgram, running: ExitStack) -> None:
    environment = {"RABBITMQ_URL": f"amqp://yeeter:{CANARY}@127.0.0.1:{free_port()}/", "YEETER_LOG_FORMAT": "json"}
    if service == "database":
        environment["DATABASE_URL"] = f"postgresql://yeeter:{CANARY}@127.0.0.1:{free_port()}/yeeter"
    else:
        assert program("db", "upgrade").code == 0
    worker = running.enter_context(program.start("worker", YEETER_LOG_LEVEL="debug", **environment))
    worker.wait_for_line(f"waiting for the {service}")
    worker.terminate()
    assert CANARY not in worker.output


STEP = """\
import os
def connect(url):
    raise RuntimeError("a defect")
connect(os.environ["DATABASE_URL"])
"""


def test_a_defect_is_told_without_the_values_of_its_variables(
    program: RealProgram, running: ExitStack, tmp_path: Path
) -> None:
    (tmp_path / "broken_step.py").write_text(STEP)
    environment = {
        "DATABASE_URL": f"postgresql://yeeter:{CANARY}@127.0.0.1:1/yeeter",
        "YEETER_STEP_TYPES": '["BROKEN=broken_step:Step"]',
        "PYTHONPATH": f"{tmp_path}:{Path(__file__).resolve().parents[2]}",
    }
    doctor = running.enter_context(program.start("doctor", **environment))
    assert doctor.wait() == 1
    assert "a defect" in doctor.output
    assert CANARY not in doctor.output
