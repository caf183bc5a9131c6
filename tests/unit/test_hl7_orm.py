"""ORM^O01: another parser reads every field back, whatever the order says."""

from __future__ import annotations

import dataclasses
import hashlib
import re

import hl7
import pytest

from app.domain.draws import Draws
from app.domain.order import Code, Order, PersonName, Provider
from app.domain.template import Hl7
from app.hl7.character_set import codec_of
from app.hl7.orm import OrmRenderer, build_orm_o01
from tests.unit.sample_orders import orders

NASTY = (
    "a|b",
    "a^b",
    "a~b",
    "a\\b",
    "a&b",
    "\\F\\",
    "a\rb",
    "a\nb",
    "\x0bab",
    "a\x1c\rb",
    "|^~\\&",
    "ä & 漢",
    "'-",
    "",
    "x",
)
GOLDEN = "8d06669ad61abe3d"  # of the bytes of 100 messages


def field(message: hl7.Message, segment: str, number: int, component: int = 1, subcomponent: int = 1) -> str:
    try:
        return str(message.extract_field(segment, 1, number, 1, component, subcomponent))
    except IndexError:  # trailing empty components are not there
        return ""


def read(message: bytes) -> hl7.Message:
    declared = re.match(rb"MSH(?:\|[^|\r]*){16}\|([^|\r]*)\r", message)
    return hl7.parse(message.decode(codec_of(declared[1].decode() if declared else "")))


def nasty(order: Order) -> Order:
    """The order with delimiters and control characters in everything that is text."""
    draws = Draws("nasty", order.number)

    def text() -> str:
        return draws.pick(NASTY)

    def name() -> PersonName:
        return PersonName(text(), text(), text(), text(), text())

    patient = dataclasses.replace(
        order.patient, name=name(), street=text(), city=text(), postal_code=text(), phone=text(), issuer=text()
    )
    return dataclasses.replace(
        order,
        patient=patient,
        location=text(),
        referring=Provider(text(), name()),
        ordering=Provider(text(), name()),
        procedure=Code(text(), text(), text()),
        protocol=Code(text(), text(), text()),
        clinical_information=text(),
        reason=text(),
        organisation=text(),
    )


def expected_fields(order: Order) -> dict[tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int], str]:
    """Where DOMAIN's table puts each value: (segment, field, component, subcomponent)."""
    patient, name = order.patient, order.patient.name
    start, ordered = f"{order.scheduled_at:%Y%m%d%H%M%S}", f"{order.ordered_at:%Y%m%d%H%M%S}"
    values: dict[tuple[str, int] | tuple[str, int, int] | tuple[str, int, int, int], str] = {
        ("MSH", 3): "YEETER",
        ("MSH", 4): "SIMULATION",
        ("MSH", 5): "RIS",
        ("MSH", 6): "HOSPITAL",
        ("MSH", 7): ordered,
        ("MSH", 9, 1): "ORM",
        ("MSH", 9, 2): "O01",
        ("MSH", 10): order.control_id,
        ("MSH", 11): "T",
        ("MSH", 12): "2.3.1",
        ("PID", 3, 1): patient.patient_id,
        ("PID", 3, 4, 1): patient.issuer,
        ("PID", 3, 4, 2): patient.issuer_uid,
        ("PID", 3, 4, 3): "ISO",
        ("PID", 5, 1): name.family,
        ("PID", 5, 2): name.given,
        ("PID", 5, 3): name.middle,
        ("PID", 5, 4): name.suffix,
        ("PID", 5, 5): name.prefix,
        ("PID", 7): f"{patient.birth_date:%Y%m%d}" if patient.birth_date else "",
        ("PID", 8): patient.sex,
        ("PID", 11, 1): patient.street,
        ("PID", 11, 3): patient.city,
        ("PID", 11, 5): patient.postal_code,
        ("PID", 11, 6): patient.country,
        ("PID", 13): patient.phone,
        ("PV1", 2): order.patient_class,
        ("PV1", 3): order.location,
        ("PV1", 19): order.visit_number,
        ("ORC", 1): "NW",
        ("ORC", 2): order.placer,
        ("ORC", 3): order.filler,
        ("ORC", 5): "SC",
        ("ORC", 7, 4): start,
        ("ORC", 7, 6): order.priority,
        ("ORC", 9): ordered,
        ("ORC", 17, 2): order.organisation,
        ("OBR", 2): order.placer,
        ("OBR", 3): order.filler,
        ("OBR", 4, 1): order.procedure.value,
        ("OBR", 4, 2): order.procedure.meaning,
        ("OBR", 4, 3): order.procedure.scheme,
        ("OBR", 4, 4): order.protocol.value,
        ("OBR", 4, 5): order.protocol.meaning,
        ("OBR", 4, 6): order.protocol.scheme,
        ("OBR", 13): order.clinical_information,
        ("OBR", 18): order.accession,
        ("OBR", 19): order.procedure_id,
        ("OBR", 20): order.step_id,
        ("OBR", 24): order.study.modality,
        ("OBR", 27, 4): start,
        ("OBR", 27, 6): order.priority,
        ("OBR", 31, 2): order.reason,
        ("OBR", 44, 1): order.procedure.value,
        ("OBR", 44, 2): order.procedure.meaning,
        ("OBR", 44, 3): order.procedure.scheme,
        ("ZDS", 1, 1): order.study_uid,
        ("ZDS", 1, 3): "Application",
        ("ZDS", 1, 4): "DICOM",
    }
    for place, provider in {
        ("PV1", 8): order.referring,
        ("ORC", 12): order.ordering,
        ("OBR", 16): order.ordering,
    }.items():
        parts = provider.name
        shifted = (provider.id, parts.family, parts.given, parts.middle, parts.suffix, parts.prefix)
        values |= {(*place, component): value for component, value in enumerate(shifted, start=1)}
    return values


@pytest.mark.parametrize("alter", [lambda order: order, nasty], ids=["as planned", "nasty"])
def test_every_field_is_read_back_by_python_hl7(alter) -> None:
    renderer = OrmRenderer(Hl7())
    for order in map(alter, orders(300)):
        message = read(renderer.render(order))
        assert [str(segment[0]) for segment in message] == ["MSH", "PID", "PV1", "ORC", "OBR", "ZDS"]
        for place, value in expected_fields(order).items():
            assert field(message, *place) == value, place


def test_original_acknowledgement_mode_is_asked_for() -> None:
    header = build_orm_o01(orders(1)[0], Hl7()).split(b"\r")[0].split(b"|")
    assert len(header) <= 14 or header[14:16] == [b"", b""]


def test_segments_end_with_cr_only() -> None:
    renderer = OrmRenderer(Hl7())
    for order in map(nasty, orders(50)):
        message = renderer.render(order)
        assert message.count(b"\r") == 6
        assert message.endswith(b"\r")
        assert not re.search(rb"[\x00-\x0c\x0e-\x1f]", message)


@pytest.mark.parametrize(
    ("street", "declared"),
    [("Main Street", b""), ("Hauptstraße", b"8859/1"), ("Ελιά", b"UNICODE UTF-8"), ("Straße 漢", b"UNICODE UTF-8")],
)
def test_the_character_set_is_the_narrowest_and_declared_unless_ascii(street: str, declared: bytes) -> None:
    order = next(order for order in orders(50, population={"locales": ["en"]}) if order.patient.street.isascii())
    order = dataclasses.replace(order, patient=dataclasses.replace(order.patient, street=street))
    message = build_orm_o01(order, Hl7())
    header = message.split(b"\r")[0].split(b"|")
    assert (header[17] if len(header) > 17 else b"") == declared
    assert street in message.decode(codec_of(declared.decode()))
    assert len(header) == (18 if declared else 12)


def test_every_character_set_occurs_in_a_mixed_population() -> None:
    renderer = OrmRenderer(Hl7())
    headers = {renderer.render(order).split(b"\r")[0].rpartition(b"|")[2] for order in orders(100)}
    assert headers == {b"2.3.1", b"8859/1", b"UNICODE UTF-8"}


def test_the_templates_sender_and_receiver_are_named() -> None:
    names = Hl7(sending_application="A&B", receiving_facility="ÖRE", processing_id="P")
    message = read(build_orm_o01(orders(1)[0], names))
    assert field(message, "MSH", 3) == "A&B"
    assert field(message, "MSH", 6) == "ÖRE"
    assert field(message, "MSH", 11) == "P"


def test_the_same_order_is_the_same_bytes() -> None:
    """Changing what a seed means makes runs incomparable: change this value only on purpose, and say so."""
    renderer = OrmRenderer(Hl7())
    messages = b"".join(renderer.render(order) for order in orders(100))
    assert hashlib.sha256(messages).hexdigest()[:16] == GOLDEN
