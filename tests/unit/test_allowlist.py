"""Where may be sent to: as a run is started, and again as each connection is made."""

from __future__ import annotations

import pytest

from app.domain.allowlist import Allowlist
from app.domain.errors import InvalidInput
from app.domain.template import Template

NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "pacs.example": ["192.0.2.7", "2001:db8::7"],
    "metadata.example": ["192.0.2.8", "169.254.169.254"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "evil.example": ["127.0.0.1"],
}


def resolve(name: str, _: int) -> list[str]:
    if name not in NAMES:
        raise OSError(-2, "Name or service not known")
    return NAMES[name]


def template(hl7: str) -> Template:
    return Template.model_validate(
        {"name": "t", "steps": [{"type": "GENERATE_HL7"}], "destinations": {"hl7": hl7, "dicom": "A@127.0.0.1:104"}}
    )


LIST = [
    "127.0.0.1",
    "::1",
    "localhost",
    "pacs.example:2575",
    "metadata.example",
    "mapped.example",
    "gone.example",
    "192.0.2.9:2575",
]


@pytest.mark.parametrize(
    "destination",
    [
        "127.0.0.1:2575",
        "[::1]:2575",
        "[0:0:0:0:0:0:0:1]:2575",
        "[::ffff:127.0.0.1]:2575",
        "localhost:1",
        "LOCALHOST.:1",
        "pacs.example:2575",
        "192.0.2.9:2575",
    ],
)
def test_listed_destinations_are_allowed(destination: str) -> None:
    Allowlist(LIST).check(template(destination), resolve)


@pytest.mark.parametrize(
    ("destination", "problem"),
    [
        ("pacs.example:2576", "not an allowed"),  # another port
        ("192.0.2.7:2575", "not an allowed"),  # what a listed name has, unlisted itself
        ("192.0.2.9:22", "not an allowed"),
        ("evil.example:2575", "not an allowed"),  # it may resolve to something else a moment later
        ("127.0.0.2:2575", "not an allowed"),
        ("127.1:2575", "not an allowed"),
        ("2130706433:2575", "not an allowed"),
        ("169.254.169.254:80", "not an allowed"),
        ("[::ffff:169.254.169.254]:80", "not an allowed"),
        ("[::127.0.0.1]:2575", "not an allowed"),
        ("0.0.0.0:2575", "not an allowed"),
        ("[fe80::1]:2575", "not an allowed"),
        ("metadata.example:80", "resolves to 169.254.169.254"),
        ("mapped.example:80", "resolves to 169.254.169.254"),
        ("gone.example:80", "does not resolve"),
    ],
)
def test_everything_else_is_refused(destination: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        Allowlist(LIST).check(template(destination), resolve)
    assert [found.field for found in caught.value.problems] == ["destinations.hl7"]
    assert "YEETER_ALLOWED_DESTINATIONS" in caught.value.problems[0].cure


def test_a_listed_address_may_be_special() -> None:
    Allowlist(["metadata.example", "169.254.169.254", "127.0.0.1"]).check(template("metadata.example:80"), resolve)


def test_both_destinations_are_checked() -> None:
    with pytest.raises(InvalidInput) as caught:
        Allowlist([]).check(template("127.0.0.1:2575"), resolve)
    assert [found.field for found in caught.value.problems] == ["destinations.hl7", "destinations.dicom"]


def test_a_destination_that_is_not_given_is_the_built_in_receiver() -> None:
    Allowlist([]).check(Template.model_validate({"name": "t", "steps": [{"type": "GENERATE_HL7"}]}), resolve)


@pytest.mark.parametrize(
    "entry", ["", "a b", "pacs:", "pacs:x", "pacs:70000", "user@pacs", "http://pacs", "10.0.0.0/8"]
)
def test_an_entry_that_means_nothing_is_refused_at_the_start(entry: str) -> None:
    with pytest.raises(InvalidInput, match="YEETER_ALLOWED_DESTINATIONS"):
        Allowlist([entry])


def test_nobody_is_asked_for_the_address_of_an_unlisted_name() -> None:
    def leak(name: str, port: int) -> list[str]:
        raise AssertionError(f"asked for {name}")

    with pytest.raises(InvalidInput, match="not an allowed"):
        Allowlist(["127.0.0.1"]).check(template("secret.internal.example:80"), leak)


@pytest.mark.parametrize("text", ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1"])
def test_a_connection_is_judged_by_every_address_it_might_go_to(text: str) -> None:
    allowlist = Allowlist(["pacs.example:104"])
    assert allowlist.refusal("pacs.example", 104, ["192.0.2.7"]) == ""
    assert "pacs.example resolves to" in allowlist.refusal("pacs.example", 104, ["192.0.2.7", text])
    assert "not an allowed destination" in allowlist.refusal("pacs.example", 105, ["192.0.2.7"])
