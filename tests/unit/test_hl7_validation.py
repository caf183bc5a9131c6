"""Rendered messages hold against hl7apy's tables and ours, and what is wrong is found."""

from __future__ import annotations

import pytest

from app.domain.order import MODALITIES
from app.domain.template import LOCALES, Hl7
from app.hl7.orm import OrmRenderer, build_orm_o01
from app.hl7.validation import check_message
from tests.unit.sample_orders import orders


def test_messages_of_every_modality_and_locale_are_valid() -> None:
    renderer = OrmRenderer(Hl7())
    sample = {(order.study.modality, order.patient.country): order for order in orders(600)}
    assert len(sample) == len(MODALITIES) * len(LOCALES)
    for order in sample.values():
        assert check_message(renderer.render(order)) == []


def message() -> str:
    order = orders(1, population={"locales": ["en"]})[0]
    return build_orm_o01(order, Hl7()).decode("ascii")


@pytest.mark.parametrize("segment", ["PID", "PV1", "ORC", "OBR", "ZDS"])
def test_each_segment_is_there_once(segment: str) -> None:
    lines = message().split("\r")
    at = next(index for index, line in enumerate(lines) if line.startswith(segment))
    missing = "\r".join(lines[:at] + lines[at + 1 :])
    twice = "\r".join([*lines[:at], lines[at], *lines[at:]])
    assert [str(problem.field) for problem in check_message(missing.encode())] == [segment]
    assert [str(problem.field) for problem in check_message(twice.encode())] == [segment]


def test_segments_are_in_order() -> None:
    header, patient, visit, *rest = message().split("\r")
    swapped = "\r".join([header, visit, patient, *rest])
    assert check_message(swapped.encode())[0].problem == "the segments are out of order"
    observation = "\r".join([header, patient, "OBX|1|NM|X||70", visit, *rest])
    assert [problem.field for problem in check_message(observation.encode())] == ["OBX"]


def test_other_segments_may_stand_between() -> None:
    header, patient, *rest = message().split("\r")
    assert check_message("\r".join([header, patient, "NTE|1||a note", "ZXX|1", *rest]).encode()) == []


def changed(segment: str, field: int, value: str) -> bytes:
    lines = message().split("\r")
    at = next(index for index, line in enumerate(lines) if line.startswith(segment))
    fields = lines[at].split("|")
    fields += [""] * (20 - len(fields))
    fields[field - (segment == "MSH")] = value
    lines[at] = "|".join(fields)
    return "\r".join(lines).encode()


@pytest.mark.parametrize(
    ("segment", "field", "value", "place"),
    [
        ("MSH", 9, "ADT^A08", "MSH-9"),
        ("MSH", 10, "", "MSH-10.1"),
        ("MSH", 10, "X" * 21, "MSH-10.1"),
        ("MSH", 11, "X", "MSH-11.1"),
        ("MSH", 15, "AL", "MSH-15"),
        ("MSH", 16, "AL", "MSH-16"),
        ("MSH", 18, "KLINGON", "MSH-18"),
        ("PID", 3, "", "PID-3.1"),
        ("PID", 5, "", "PID-5"),
        ("PID", 5, f"{'F' * 30}^{'G' * 18}", "PID-5"),
        ("PID", 7, "5 Jan 2026", "PID-7.1"),
        ("PID", 8, "female", "PID-8.1"),
        ("PV1", 2, "", "PV1-2.1"),
        ("ORC", 1, "XX", "ORC-1.1"),
        ("ORC", 2, "OTHER", "OBR-2"),
        ("ORC", 7, "1^^^tomorrow^^R", "ORC-7.4"),
        ("OBR", 2, "OTHER", "OBR-2"),
        ("OBR", 3, "OTHER", "OBR-3"),
        ("OBR", 4, "X" * 17, "OBR-4.1"),
        ("OBR", 13, "X" * 65, "OBR-13.1"),
        ("OBR", 18, "X" * 17, "OBR-18.1"),
        ("OBR", 24, "", "OBR-24.1"),
        ("ZDS", 1, "1.2.840^^Application", "ZDS-1.4"),
        ("ZDS", 1, "not a uid^^Application^DICOM", "ZDS-1.1"),
        ("PID", 11, "Rose & Crown", "PID"),  # hl7apy: a delimiter that was not escaped
        ("PID", 13, "call me", "PID"),  # hl7apy: no telephone number
        ("PV1", 1, "one", "PV1"),  # hl7apy: no sequence ID
    ],
)
def test_a_wrong_value_is_found_where_it_is(segment: str, field: int, value: str, place: str) -> None:
    assert [problem.field for problem in check_message(changed(segment, field, value))] == [place]


@pytest.mark.parametrize(
    ("old", "new"),
    [("DICOM\r", "DICOM"), ("\rPV1", "\nPV1"), ("\rPV1", "\r\nPV1"), ("PV1|1", "PV1|1\x0b"), ("ORM^", "\x1c^")],
)
def test_segments_end_with_cr_and_hold_no_control_characters(old: str, new: str) -> None:
    assert old in message()
    problem = check_message(message().replace(old, new).encode())[0].problem
    assert problem == "a segment does not end with CR, or holds a control character"


def test_what_is_not_ascii_declares_its_character_set() -> None:
    damaged = message().replace("Dr.", "Ärzt.").encode()
    assert [problem.field for problem in check_message(damaged)] == ["MSH-18"]


def test_an_order_without_accession_number_is_found() -> None:
    accession = orders(1)[0].accession
    without = message().replace(f"|{accession}F^YEETER|", "||").replace(f"|{accession}|", "||")
    assert [problem.field for problem in check_message(without.encode())] == ["OBR-18"]


def test_an_unknown_version_is_found() -> None:
    assert "9.9" in check_message(changed("MSH", 12, "9.9"))[0].problem


def test_what_is_no_message_is_said() -> None:
    assert [problem.field for problem in check_message(b"hello")] == ["MSH"]
