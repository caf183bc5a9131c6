"""A site's own message text."""

from __future__ import annotations

import dataclasses
import re

import pytest

from app.domain.errors import InvalidInput
from app.domain.order import PersonName
from app.domain.template import Hl7
from app.hl7 import placeholders
from app.hl7.orm import ORM_O01, OrmRenderer
from app.hl7.parsing import Segments, parse_message
from app.hl7.placeholders import NAMES
from app.hl7.validation import check_message
from tests.unit.sample_orders import orders

HEADER = r"MSH|^~\&|SITE|HERE|RIS|THERE|{message_time}||ORM^O01|{control_id}|T|2.3.1"
TEXT = (
    HEADER
    + "\nPID|1||{patient_id}||{family_name}^{given_name}\nOBR|1|||||||||||||||||{accession}\nZXX|{{{body_part}}}\n"
)


def render(text: str, **changes: object) -> bytes:
    order = orders(1)[0]
    return OrmRenderer(Hl7(message=text)).render(dataclasses.replace(order, **changes))


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as error:
        OrmRenderer(Hl7(message=text))
    assert {problem.field for problem in error.value.problems} == {"hl7.message"}
    return [problem.problem for problem in error.value.problems]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
def test_lines_become_segments(end: str) -> None:
    message = render(TEXT.replace("\n", end))
    assert Segments(message).names() == ["MSH", "PID", "OBR", "ZXX"]
    assert message.count(b"\r") == 4
    assert b"\n" not in message


def test_double_braces_stand_for_braces() -> None:
    order = orders(1)[0]
    assert Segments(render(TEXT)).value("ZXX", 1) == f"{{{order.study.body_part}}}"


def test_values_are_escaped_with_the_delimiters_of_the_text() -> None:
    text = (
        "MSH#*!@%#SITE#####" + "#ORM*O01#{control_id}#T#2.3.1\nPID#1##{patient_id}##{patient_name}\nOBR#1##{accession}"
    )
    patient = dataclasses.replace(orders(1)[0].patient, name=PersonName("a#b", "c*d!e", suffix="f@g%h"))
    parsed = parse_message(render(text, patient=patient))
    assert parsed.patient_name == "a#b^c*d!e^^f@g%h"
    assert parsed.accession == orders(1)[0].accession


def test_every_placeholder_can_be_used() -> None:
    text = HEADER + "".join(f"\nZ{index:02d}|{{{name}}}" for index, name in enumerate(sorted(NAMES)))
    segments = Segments(render(text))
    assert b"{" not in render(text)
    assert len(segments.names()) == 1 + len(NAMES)


def test_the_documented_placeholders_are_the_ones_there_are() -> None:
    table = (placeholders.__doc__ or "").split("\n\n")[1]
    words = re.sub(r"\(\w+\)|^ {4}[A-Z]\w+", " ", table, flags=re.MULTILINE).split()
    assert sorted(words) == sorted(NAMES)


def test_a_character_set_that_the_text_declares_is_kept() -> None:
    text = TEXT.replace("2.3.1", "2.3.1||||||8859/1")
    patient = dataclasses.replace(orders(1)[0].patient, name=PersonName("Müller漢", "A"))
    message = render(text, patient=patient)
    assert "Müller?".encode("latin-1") in message
    assert message.split(b"\r")[0].endswith(b"|2.3.1||||||8859/1")


def test_fields_after_an_empty_character_set_keep_their_place() -> None:
    text = TEXT.replace("2.3.1", "2.3.1|||||||en^English")
    for name in ("Miller", "Müller"):
        patient = dataclasses.replace(orders(1)[0].patient, name=PersonName(name, "A"))
        header = Segments(render(text, patient=patient))
        assert header.value("MSH", 18) == ("" if name == "Miller" else "8859/1")
        assert header.components("MSH", 19) == ["en", "English"]


def test_percent_signs_are_only_percent_signs() -> None:
    assert Segments(render(TEXT + "ZZZ|100%s %(x)d")).value("ZZZ", 1) == "100%s %(x)d"


@pytest.mark.parametrize(
    "placeholder",
    ["{nobody}", "{}", "{0}", "{patient_id.__class__}", "{patient_id!r}", "{sex:>10}", "{order[0]}", "{ sex }"],
)
def test_only_plain_known_names_are_placeholders(placeholder: str) -> None:
    assert problems(f"{TEXT}ZZZ|{placeholder}") == [f"unknown placeholder {placeholder}"]


def test_a_misspelt_placeholder_is_told_the_right_one() -> None:
    with pytest.raises(InvalidInput) as error:
        OrmRenderer(Hl7(message=f"{TEXT}ZZZ|{{acession}}"))
    assert error.value.problems[0].cure == "use accession"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "it does not begin with an MSH segment and its delimiters"),
        ("PID|1\n" + TEXT, "it does not begin with an MSH segment and its delimiters"),
        (TEXT.replace("|^~\\&|", "|^^\\&|"), "it does not begin with an MSH segment and its delimiters"),
        (TEXT.replace("|^~\\&|", "|^~|"), "it does not begin with an MSH segment and its delimiters"),
        (TEXT.replace("{control_id}", "17"), "MSH-10 is not {control_id}"),
        (TEXT.replace("{control_id}", "X{control_id}"), "MSH-10 is not {control_id}"),
        ("MSH|^~\\&|{control_id}\nOBR|1||{accession}", "MSH-10 is not {control_id}"),
        (TEXT.replace("{accession}", ""), "{accession} is missing"),
        (TEXT.replace("{accession}", "{{accession}}"), "{accession} is missing"),
        (TEXT + "NTE|{", "segment 5 holds a lone {"),
        (TEXT + "NTE|}", "segment 5 holds a lone }"),
        (TEXT + "hello", "segment 5 has no name: 'hello'"),
        (TEXT + " NTE|1", "segment 5 has no name: ' NTE|1'"),
        (TEXT + "NTE|\x0b", "segment 5 holds a control character"),
        (TEXT.replace("2.3.1", "2.3.1||||||KLINGON"), "unknown character set 'KLINGON' in MSH-18"),
    ],
)
def test_what_is_wrong_with_a_text_is_said(text: str, problem: str) -> None:
    assert problems(text) == [problem]


def test_all_problems_are_said_at_once() -> None:
    assert len(problems("MSH|^~\\&|\nPID|{nobody}|{no_one}|{\n")) == 5


def test_yeeters_own_text_is_a_text_like_any_other() -> None:
    assert render(ORM_O01) == OrmRenderer(Hl7()).render(orders(1)[0])
    assert check_message(render(ORM_O01.replace("YEETER", "SITE"))) == []
