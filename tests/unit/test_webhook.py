"""A template's webhook: what may stand there, and where its secrets go and don't."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.allowlist import Allowlist
from app.domain.errors import InvalidInput
from app.domain.template import StepTypes, Template, parse_template
from app.domain.webhook import HIDDEN, Webhook, check_headers_stay, with_secrets, without_secrets

TYPES = StepTypes({"GENERATE_HL7": lambda parameters: None})
SECRET = "Bearer s3cret"


def document(**webhook: Any) -> dict[str, Any]:
    return {"name": "t", "steps": [{"type": "GENERATE_HL7"}], "webhook": webhook}


STORED = document(url="https://ci.example/hook", headers={"Authorization": SECRET, "X-Team": "a"})


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "shown"),
    [
        ("http://ci.example", "ci.example", 80, "/", "http://ci.example"),
        ("https://CI.example/a?b=c", "ci.example", 443, "/a?b=c", "https://CI.example"),
        ("https://[::1]:8443/a", "::1", 8443, "/a", "https://[::1]:8443"),
    ],
)
def test_an_address_in_its_parts(url: str, host: str, port: int, target: str, shown: str) -> None:
    webhook = Webhook(url=url)
    assert (webhook.host, webhook.port, webhook.target, str(webhook)) == (host, port, target, shown)
    assert webhook.secure == url.startswith("https")


@pytest.mark.parametrize(
    ("webhook", "field", "word"),
    [
        ({}, "webhook.url", "required"),
        ({"url": "ci.example/hook"}, "webhook.url", "not an address"),
        ({"url": "ftp://ci.example"}, "webhook.url", "not an address"),
        ({"url": "file:///etc/passwd"}, "webhook.url", "not an address"),
        ({"url": "http://"}, "webhook.url", "not an address"),
        ({"url": "http://ci.example:99999"}, "webhook.url", "not an address"),
        ({"url": "http://[::1"}, "webhook.url", "not an address"),
        ({"url": "http://ci.example/a b"}, "webhook.url", "pattern"),
        ({"url": "http://ci.example/\r\nHost: x"}, "webhook.url", "pattern"),
        ({"url": f"http://me:{SECRET[7:]}@ci.example"}, "webhook.url", "user or a password"),
        ({"url": "http://ci.example/#a"}, "webhook.url", "fragment"),
        ({"url": "http://ci.example", "timeout": 31}, "webhook.timeout", "less than or equal to 30"),
        ({"url": "http://ci.example", "headers": {"Host": "other"}}, "webhook.headers", "not yours to set"),
        ({"url": "http://ci.example", "headers": {"A": "b\r\nC: d"}}, "webhook.headers.A", "pattern"),
        ({"url": "http://ci.example", "headers": {"A:": "b"}}, "webhook.headers.A:", "pattern"),
        ({"url": "http://ci.example", "headers": {"A": HIDDEN}}, "webhook.headers", "was hidden"),
        ({"url": "http://ci.example", "method": "PUT"}, "webhook.method", "not permitted"),
    ],
)
def test_what_is_no_webhook_is_refused_by_its_field(webhook: dict[str, Any], field: str, word: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_template(document(**webhook), TYPES)
    (problem,) = caught.value.problems
    assert problem.field == field and word in problem.problem
    assert SECRET[7:] not in str(problem)


def test_a_secret_is_in_no_text_of_the_template() -> None:
    template = Template.model_validate(STORED)
    assert SECRET not in repr(template) and SECRET not in str(template.webhook)


def test_a_document_is_shown_without_its_secrets_and_stays_as_it_is() -> None:
    shown = without_secrets(STORED)
    assert shown["webhook"] == {
        "url": "https://ci.example/hook",
        "headers": {"Authorization": HIDDEN, "X-Team": HIDDEN},
    }
    assert STORED["webhook"]["headers"]["Authorization"] == SECRET
    assert without_secrets({"name": "t"}) == {"name": "t"}


def test_what_was_shown_and_edited_gets_its_secrets_back() -> None:
    edited = without_secrets(STORED) | {"orders": 7}
    edited["webhook"]["headers"]["X-Team"] = "b"
    assert with_secrets(edited, STORED)["webhook"]["headers"] == {"Authorization": SECRET, "X-Team": "b"}


@pytest.mark.parametrize("url", ["https://evil.example/hook", "http://ci.example/hook", "https://ci.example/other"])
def test_no_other_address_gets_them(url: str) -> None:
    shown = without_secrets(STORED)
    moved = shown | {"webhook": shown["webhook"] | {"url": url}}
    assert with_secrets(moved, STORED) == moved
    with pytest.raises(InvalidInput, match="was hidden"):
        parse_template(moved, TYPES)
    with pytest.raises(InvalidInput, match="template's own headers"):
        check_headers_stay(STORED, STORED | {"webhook": STORED["webhook"] | {"url": url}})


def test_a_run_may_have_a_webhook_of_its_own() -> None:
    check_headers_stay(STORED, document(url="https://mine.example", headers={"Authorization": "Bearer mine"}))
    check_headers_stay(STORED, document(url="https://mine.example"))
    check_headers_stay({"name": "t"}, STORED)


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "http://ci.example:81/", "https://ci.example/"])
def test_a_webhook_is_a_destination_as_others_are(url: str) -> None:
    allowlist = Allowlist(["ci.example:80"])
    allowlist.check(Template.model_validate(document(url="http://ci.example/")), lambda host, port: ["192.0.2.7"])
    with pytest.raises(InvalidInput, match="is not an allowed destination") as caught:
        allowlist.check(Template.model_validate(document(url=url)), lambda host, port: ["192.0.2.7"])
    assert [problem.field for problem in caught.value.problems] == ["webhook.url"]


@pytest.mark.parametrize("broken", [{"webhook": 1}, {"webhook": {"headers": 1}}, {"webhook": {"headers": {1: 2}}}, 1])
def test_a_document_that_is_none_is_left_to_validation(broken: Any) -> None:
    assert with_secrets(broken, STORED) == broken
    check_headers_stay(STORED, broken if isinstance(broken, dict) else {})
