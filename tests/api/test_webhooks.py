"""Webhooks over the API: secrets are taken and never shown, and no run tells whom it may not send to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.domain.webhook import HIDDEN
from tests.api.conftest import RUNS, TEMPLATES
from tests.api.in_process import InProcess, in_process

SECRET = "Bearer s3cret"
HL7 = "127.0.0.1:2575"
DOCUMENT = {
    "name": "told",
    "steps": [{"type": "GENERATE_HL7"}],
    "destinations": {"hl7": HL7},
    "webhook": {"url": "http://127.0.0.1:8080/hook", "headers": {"Authorization": SECRET}},
}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[InProcess]:
    with in_process(tmp_path) as api:
        assert api.ask("POST", TEMPLATES, json=DOCUMENT).status_code == 201
        yield api


def headers(document: dict[str, Any]) -> Any:
    return document["webhook"]["headers"]


def stored_headers(api: InProcess) -> Any:
    with api.bundle.database.transaction() as work:
        return headers(work.templates.get("told").document)


def test_secrets_are_shown_nowhere(api: InProcess) -> None:
    run = api.ask("POST", RUNS, json={"template": "told"}).json()
    answers = [
        api.ask("GET", TEMPLATES),
        api.ask("GET", f"{TEMPLATES}/told"),
        api.ask("POST", f"{TEMPLATES}/validate", json=DOCUMENT),
        api.ask("POST", f"{TEMPLATES}/told/steps", json={"type": "WAIT", "parameters": {"seconds": 1}}),
        api.ask("GET", f"{RUNS}/{run['id']}"),
        api.ask("GET", f"{RUNS}/{run['id']}/events"),
        api.ask("POST", TEMPLATES, json=DOCUMENT | {"name": "other", "orders": 0}),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 201, 200, 200, 422]
    assert SECRET[7:] not in "".join(answer.text for answer in answers)
    assert headers(answers[1].json()["document"]) == headers(answers[4].json()["document"]) == {"Authorization": HIDDEN}
    assert stored_headers(api) == {"Authorization": SECRET}
    with api.bundle.database.transaction() as work:
        assert headers(work.runs.get(run["id"]).document) == {"Authorization": SECRET}


def test_what_was_shown_can_be_edited_and_put_back(api: InProcess) -> None:
    shown = api.ask("GET", f"{TEMPLATES}/told").json()["document"]
    assert api.ask("PUT", f"{TEMPLATES}/told", json=shown | {"orders": 7}).status_code == 200
    assert stored_headers(api) == {"Authorization": SECRET}
    assert api.ask("POST", f"{TEMPLATES}/validate?replaces=told", json=shown).status_code == 200
    assert api.ask("POST", f"{TEMPLATES}/validate", json=shown).status_code == 422
    assert api.ask("POST", f"{TEMPLATES}/validate?replaces=nothing", json=shown).status_code == 404
    moved = shown | {"webhook": shown["webhook"] | {"url": "http://127.0.0.1:9090/"}}
    assert api.ask("PUT", f"{TEMPLATES}/told", json=moved).status_code == 422


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"webhook.url": "http://169.254.169.254/latest", "webhook.headers": {}}, "webhook.url"),
        ({"webhook.url": "http://ci.example/", "webhook.headers": {}}, "webhook.url"),
        ({"webhook.url": "http://127.0.0.1:9090/"}, "webhook.headers"),
    ],
)
def test_a_run_tells_nobody_it_may_not_send_to(api: InProcess, overrides: dict[str, Any], field: str) -> None:
    refused = api.ask("POST", RUNS, json={"template": "told", "overrides": overrides})
    assert refused.status_code == 422
    assert [problem["field"] for problem in refused.json()["problems"]] == [field]
    assert api.producers.started == []
