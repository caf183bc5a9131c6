"""A POST under an Idempotency-Key: done once, answered as often as it is asked."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.adapters.database import SqlDatabase
from app.api.application import create_app
from app.api.roles import Role
from app.domain.errors import Unavailable
from app.domain.template import StepTypes
from tests.api.conftest import RUNS, TEMPLATES
from tests.api.in_process import InProcess, in_process, tokens_file
from tests.api.test_problems import check_problem

# That do not change anything: there is nothing to do twice.
HARMLESS = {f"{TEMPLATES}/validate", "/api/simulator/destinations/check"}
STEPS = [{"type": "GENERATE_HL7", "queue_async": True}, {"type": "GENERATE_DICOM"}]


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with in_process(tmp_path_factory.mktemp("idempotency")) as application:
        yield application


@pytest.fixture
def name() -> str:
    return f"template-{secrets.token_hex(4)}"


def new_key() -> dict[str, str]:
    return {"Idempotency-Key": secrets.token_hex(8)}


def templates(application: InProcess) -> set[str]:
    return {item["name"] for item in application.ask("GET", TEMPLATES).json()["items"]}


def check_replay(first: httpx.Response, again: httpx.Response) -> None:
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers.get("location") == first.headers.get("location")


def test_every_post_that_changes_something_takes_a_key(application: InProcess) -> None:
    document = application.ask("GET", "/openapi.json").json()
    posts = {path: operations["post"] for path, operations in document["paths"].items() if "post" in operations}
    taking = {
        path
        for path, post in posts.items()
        if any(parameter["name"].lower() == "idempotency-key" for parameter in post.get("parameters", ()))
    }
    assert taking == set(posts) - HARMLESS


def test_a_run_is_started_once(application: InProcess) -> None:
    key, body = new_key(), {"template": "metadata-only", "orders": 3}
    first = application.ask("POST", RUNS, json=body, headers=key)
    assert first.status_code == 202, first.text
    for _ in range(2):
        check_replay(first, application.ask("POST", RUNS, json=body, headers=key))
    assert application.producers.started.count(first.json()["id"]) == 1
    another = application.ask("POST", RUNS, json=body, headers=new_key())
    assert another.json()["id"] != first.json()["id"]


def test_a_run_is_cancelled_once(application: InProcess) -> None:
    run = application.ask("POST", RUNS, json={"template": "metadata-only"}).json()
    key = new_key()
    first = application.ask("POST", f"{RUNS}/{run['id']}/cancel", headers=key)
    assert first.status_code == 202, first.text
    check_replay(first, application.ask("POST", f"{RUNS}/{run['id']}/cancel", headers=key))


def test_a_template_and_its_steps_are_made_once(application: InProcess, name: str) -> None:
    key, body = new_key(), {"name": name, "steps": STEPS}
    first = application.ask("POST", TEMPLATES, json=body, headers=key)
    assert first.status_code == 201, first.text
    check_replay(first, application.ask("POST", TEMPLATES, json=body, headers=key))

    key, steps = new_key(), f"{TEMPLATES}/{name}/steps"
    added = application.ask("POST", steps, json={"type": "SEND_DICOM"}, headers=key)
    assert added.status_code == 201, added.text
    check_replay(added, application.ask("POST", steps, json={"type": "SEND_DICOM"}, headers=key))
    assert len(application.ask("GET", steps).json()["items"]) == 3


def test_the_first_answer_outlives_what_it_is_about(application: InProcess, name: str) -> None:
    key, body = new_key(), {"name": name, "steps": STEPS}
    first = application.ask("POST", TEMPLATES, json=body, headers=key)
    assert application.ask("DELETE", f"{TEMPLATES}/{name}").status_code == 204
    check_replay(first, application.ask("POST", TEMPLATES, json=body, headers=key))
    assert name not in templates(application)


@pytest.mark.parametrize("other", ["another body", "another path", "another kind of body"])
def test_a_key_is_for_one_request(application: InProcess, name: str, other: str) -> None:
    key, body = new_key(), {"name": name, "steps": STEPS}
    assert application.ask("POST", TEMPLATES, json=body, headers=key).status_code == 201
    again = {
        "another body": (TEMPLATES, {"json": body | {"name": f"{name}.other"}}),
        "another path": (RUNS, {"json": body}),
        "another kind of body": (TEMPLATES, {"content": "name: x", "headers": {"Content-Type": "text/yaml"}}),
    }[other]
    path, request = again
    response = application.ask("POST", path, **{**request, "headers": {**request.get("headers", {}), **key}})
    check_problem(response, 422)
    assert f"{name}.other" not in templates(application)


@pytest.mark.parametrize("key", ["", " ", "a b", "a" * 256, "ä".encode()])
def test_what_is_no_key_is_refused(application: InProcess, name: str, key: str | bytes) -> None:
    body = {"name": name, "steps": STEPS}
    problem = check_problem(application.ask("POST", TEMPLATES, json=body, headers={"Idempotency-Key": key}), 422)
    assert [found["field"] for found in problem["problems"]] == ["idempotency-key"]
    assert name not in templates(application)


def test_a_request_that_was_refused_may_be_mended_under_its_key(application: InProcess, name: str) -> None:
    key = new_key()
    check_problem(application.ask("POST", TEMPLATES, json={"name": name, "steps": []}, headers=key), 422)
    check_problem(application.ask("POST", TEMPLATES, json={"name": "ct-chest", "steps": STEPS}, headers=key), 409)
    assert application.ask("POST", TEMPLATES, json={"name": name, "steps": STEPS}, headers=key).status_code == 201


def test_callers_choose_their_keys_without_knowing_of_each_other(tmp_path: Path) -> None:
    path, tokens = tokens_file(tmp_path)
    with in_process(tmp_path, tokens_file=path) as application:
        key = new_key()
        for role in (Role.OPERATOR, Role.ADMIN):
            body = {"name": f"by-{role}", "steps": STEPS}
            made = application.ask("POST", TEMPLATES, tokens[role], json=body, headers=key)
            assert made.status_code == 201, made.text
        theirs = {"name": "by-operator", "steps": STEPS}
        assert "42" in str(application.ask("POST", TEMPLATES, tokens[Role.ADMIN], json=theirs, headers=key).status_code)


# --- at the same time, and with a crash in between --------------------------------------------------------------------


class Steps:
    """Step types, one of which takes its time to be checked."""

    def __init__(self) -> None:
        self.checking, self.let_go = threading.Event(), threading.Event()
        self.types = StepTypes({"GENERATE_HL7": lambda parameters: None, "SLOW": self._check})

    def _check(self, parameters: dict[str, Any]) -> None:
        self.checking.set()
        assert self.let_go.wait(60)


def test_while_the_first_is_worked_on_a_second_is_told_to_wait(application: InProcess, name: str) -> None:
    steps = Steps()
    app = create_app(replace(application.bundle, steps=steps), application.producers)  # type: ignore[arg-type]
    slow = replace(application, app=app)
    body = {"name": name, "steps": [{"type": "GENERATE_HL7"}, {"type": "SLOW"}]}

    async def ask(key: dict[str, str]) -> tuple[httpx.Response, httpx.Response]:
        first = asyncio.create_task(slow.asking("POST", TEMPLATES, json=body, headers=key))
        assert await asyncio.to_thread(steps.checking.wait, 60)
        second = await slow.asking("POST", TEMPLATES, json=body, headers=key)
        steps.let_go.set()
        return await first, second

    key = new_key()
    first, second = asyncio.run(ask(key))
    assert first.status_code == 201, first.text
    assert "wait a moment" in check_problem(second, 409)["detail"]
    check_replay(first, slow.ask("POST", TEMPLATES, json=body, headers=key))


def test_of_many_at_once_one_is_done(application: InProcess, name: str) -> None:
    async def ask(key: dict[str, str]) -> list[httpx.Response]:
        body = {"template": "metadata-only", "labels": {"name": name}}
        return await asyncio.gather(*(application.asking("POST", RUNS, json=body, headers=key) for _ in range(8)))

    answers = asyncio.run(ask(new_key()))
    done = [answer for answer in answers if answer.status_code == 202]
    assert sum("idempotency-replayed" not in answer.headers for answer in done) == 1
    assert len({answer.json()["id"] for answer in done}) == 1
    assert all(answer.status_code in (202, 409) for answer in answers)
    runs = application.ask("GET", RUNS, params={"limit": 500}).json()["items"]
    assert sum(run["labels"] == {"name": name} for run in runs) == 1


class Failing(SqlDatabase):
    """A database that goes away once, as a template is committed: before it is there, or before we hear of it."""

    def __init__(self, url: str, committed: bool) -> None:
        super().__init__(url)
        self._committed = committed
        self.armed = True

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        with super().transaction() as work:
            before = len(work.templates.all())
            yield work
            made = len(work.templates.all()) > before
            if self.armed and made and not self._committed:
                self.armed = False
                raise Unavailable("the database went away")
        if self.armed and made:
            self.armed = False
            raise Unavailable("the database went away")


@pytest.mark.parametrize("committed", [False, True])
def test_what_is_sent_again_after_a_fault_is_done_once(application: InProcess, name: str, committed: bool) -> None:
    database = Failing(application.bundle.settings.sqlalchemy_url, committed)
    app = create_app(replace(application.bundle, database=database), application.producers)
    faulty = replace(application, app=app)
    key, body = new_key(), {"name": name, "steps": STEPS}
    check_problem(faulty.ask("POST", TEMPLATES, json=body, headers=key), 503)
    assert (name in templates(application)) is committed
    again = faulty.ask("POST", TEMPLATES, json=body, headers=key)
    assert (again.status_code, again.json()["name"]) == (201, name)
    assert ("idempotency-replayed" in again.headers) is committed
    database.close()
