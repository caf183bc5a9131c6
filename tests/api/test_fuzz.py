"""Whatever is asked of any route, by the document's word or against it, the answer is one that the document knows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.domain.template import Template
from tests.api.conftest import RUNS, TEMPLATES
from tests.api.in_process import InProcess, in_process
from tests.api.test_roles import ROUTES
from tests.contract.database_fixtures import Play, new_run

EXAMPLES = 10  # of each kind, for each route
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# The same requests every time; an example that fails is not shrunk, since the request is told whole.
SAME = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
STEPS = [{"type": "GENERATE_HL7", "queue_async": True}, {"type": "GENERATE_DICOM"}, {"type": "SEND_DICOM"}]
DESCRIBED = [f"{method} {path}" for method, path in ROUTES if path != "/"]
OF_THINGS = [label for label in DESCRIBED if "{id}" in label and (TEMPLATES in label or RUNS in label)]
TAKING_NOTHING = {"GET /healthz", "GET /readyz"}


class Fuzzed:
    """The application and its document."""

    def __init__(self, application: InProcess, runner: asyncio.Runner) -> None:
        self._application = application
        self._runner = runner
        document = application.ask("GET", "/openapi.json").json()
        schema = schemathesis.openapi.from_dict(document)
        self.operations = {found.ok().label: found.ok() for found in schema.get_all_operations()}

    def check(self, case: Case) -> None:
        """Ask, and hold the answer against the document."""
        prepared = requests.Request(**case.as_transport_kwargs(base_url="http://localhost")).prepare()
        body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
        headers = [(name, _bytes(value)) for name, value in prepared.headers.items()]
        request = httpx.Request(str(prepared.method), str(prepared.url), headers=headers, content=body)
        case.validate_response(self._runner.run(self._send(request)), checks=CHECKS)

    def there(self, path: str) -> dict[str, Any]:
        """Path parameters that lead to something."""
        if path.startswith(TEMPLATES):
            body = {"name": "fuzzed", "steps": STEPS}
            self._application.ask("POST", TEMPLATES, json=body)
            return {"id": "fuzzed", "position": 1}
        document = Template.model_validate({"name": "fuzzed", "steps": STEPS}).model_dump(mode="json")
        play = Play(self._application.bundle.database, new_run(document=document, template_name="fuzzed"))
        play.begin(0, 1)
        return {"id": play.run.run_key, "number": 1, "index": 0}

    async def _send(self, request: httpx.Request) -> httpx.Response:
        transport = httpx.ASGITransport(self._application.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.send(request)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode("latin-1")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with in_process(tmp_path_factory.mktemp("fuzz")) as application, asyncio.Runner() as runner:
        yield Fuzzed(application, runner)


def ask_all(fuzzed: Fuzzed, strategy: Any) -> None:
    @SAME
    @given(case=strategy)
    def ask(case: Case) -> None:
        fuzzed.check(case)

    ask()


@pytest.mark.parametrize("label", DESCRIBED)
def test_what_the_document_allows(fuzzed: Fuzzed, label: str) -> None:
    operation = fuzzed.operations[label]
    ask_all(fuzzed, operation.as_strategy(GenerationMode.POSITIVE))


@pytest.mark.parametrize("label", [label for label in DESCRIBED if label not in TAKING_NOTHING])
def test_what_the_document_does_not_allow(fuzzed: Fuzzed, label: str) -> None:
    operation = fuzzed.operations[label]
    ask_all(fuzzed, operation.as_strategy(GenerationMode.NEGATIVE))


@pytest.mark.parametrize("label", OF_THINGS)
def test_of_things_that_are_there(fuzzed: Fuzzed, label: str) -> None:
    operation = fuzzed.operations[label]
    there = fuzzed.there(operation.path)
    given_path = {name: value for name, value in there.items() if f"{{{name}}}" in operation.path}
    ask_all(fuzzed, operation.as_strategy(GenerationMode.POSITIVE, path_parameters=given_path))
