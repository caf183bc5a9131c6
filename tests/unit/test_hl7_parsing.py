"""Reading order messages as a receiver does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.hl7.orm import OrmRenderer
from app.hl7.parsing import parse_message
from app.hl7.person_name import xpn_text
from tests.unit.sample_orders import orders, template

HEADER = "MSH|^~\\&|YEETER|SIM|RIS|HOSP|20260105080000||ORM^O01|K01|T|2.3.1"


def test_what_was_ordered_is_what_is_read() -> None:
    renderer = OrmRenderer(template().hl7)
    for order in orders(200):
        parsed = parse_message(renderer.render(order))
        assert parsed.control_id == order.control_id
        assert parsed.message_type == "ORM^O01"
        assert parsed.sending_application == "YEETER"
        assert parsed.patient_id == order.patient.patient_id
        assert parsed.patient_name == xpn_text(order.patient.name)
        assert parsed.accession == order.accession
        assert parsed.message_time == f"{order.ordered_at:%Y%m%d%H%M%S}"


def test_the_accession_number_may_be_in_the_filler_order_number() -> None:
    assert parse_message(f"{HEADER}\rOBR|1||F1^RIS|X\r".encode()).accession == "F1"
    assert parse_message(f"{HEADER}\rOBR|1||F1^RIS|X{'|' * 14}A1\r".encode()).accession == "A1"


@pytest.mark.parametrize(
    ("character_set", "codec", "name"),
    [
        ("8859/1", "latin-1", "Müller"),
        ("8859/2", "iso8859-2", "Łukasz"),
        ("UNICODE UTF-8", "utf-8", "Αλέξης"),
        ("utf-8", "utf-8", "漢"),
        ("8859/1~UNICODE UTF-8", "latin-1", "Müller"),
        ("", "latin-1", "Müller"),
        ("KLINGON", "latin-1", "Müller"),
    ],
)
def test_the_character_set_is_the_declared_one(character_set: str, codec: str, name: str) -> None:
    message = f"{HEADER}||||||{character_set}\rPID|1||Y1||{name}^A^^^\r"
    assert parse_message(message.encode(codec)).patient_name == f"{name}^A"


def test_bytes_outside_the_declared_character_set_do_not_stop_the_reading() -> None:
    parsed = parse_message(f"{HEADER}||||||UNICODE UTF-8\rPID|1||Y1||Müller\r".encode("latin-1"))
    assert parsed.patient_name == "M\ufffdller"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r"])
def test_segments_may_end_in_any_way(end: str) -> None:
    message = end.join([HEADER, "PID|1||Y1~Y2^^^OTHER||A\\S\\B^C~D^E", "OBR|1||F1"])
    parsed = parse_message(f"\x0b{message}".encode())
    assert (parsed.patient_id, parsed.patient_name, parsed.accession) == ("Y1", "A^B^C", "F1")


def test_what_is_not_there_is_empty() -> None:
    parsed = parse_message(b"MSH|^~\\&\r")
    assert (parsed.control_id, parsed.patient_id, parsed.accession, parsed.message_type) == ("", "", "", "")


def test_a_field_of_a_megabyte_is_read() -> None:
    name = "x" * 1_000_000
    assert parse_message(f"{HEADER}\rPID|1||Y1||{name}".encode()).patient_name == name


@pytest.mark.parametrize("junk", [b"", b"PID|1", b"hello", b"MSH", b"\xff\xfe" * 8])
def test_what_has_no_header_is_no_message(junk: bytes) -> None:
    with pytest.raises(ValueError, match="MSH"):
        parse_message(junk)


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda junk: b"MSH" + junk))
def test_only_value_error_comes_of_junk(junk: bytes) -> None:
    try:
        parse_message(junk)
    except ValueError:
        return


TEXT = st.sampled_from(["", "", "1", "A^B", "^^", "Müller^", "漢", "¤", "&", "PID", "\x1c", "a~b", "\\S\\"])
PID = st.lists(TEXT, min_size=4, max_size=7).map(lambda fields: "|".join(["PID", *fields]))
OBR = st.lists(TEXT, min_size=17, max_size=20).map(lambda fields: "|".join(["OBR", *fields]))
OTHER = st.lists(st.sampled_from(["PID", "OBR", "PIDX" + "|1" * 6, "OBRX" + "|2" * 20, "", "MSH|^~\\&|B"]), max_size=1)
SETS = st.sampled_from([None, "8859/1", "UNICODE UTF-8", "BIG-5", "8859/1~UNICODE UTF-8"])


@settings(max_examples=400)
@given(st.lists(TEXT, min_size=6, max_size=15), SETS, OTHER, PID, OTHER, OBR, st.sampled_from(["latin-1", "utf-8"]))
def test_the_short_way_reads_what_the_long_way_reads(
    fields: list[str], character_set: str | None, before: list[str], pid: str, between: list[str], obr: str, codec: str
) -> None:
    declared = [] if character_set is None else [*[""] * (15 - len(fields)), character_set]
    msh = "|".join(["MSH", "^~\\&", *fields, *declared])
    message = "\r".join([msh, *before, pid, *between, obr, ""]).encode(codec, "replace")
    assert parse_message(message) == parse_message(message + b"\n")  # a line feed means nothing, and takes the long way
