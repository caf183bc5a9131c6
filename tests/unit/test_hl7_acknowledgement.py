"""Acknowledgements: who answers whom, and what a sender reads from whatever comes back."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.hl7.acknowledgement import Acknowledgement, build_acceptance, build_ack, parse_ack
from app.hl7.parsing import Segments

MESSAGE = "MSH|^~\\&|YEETER|SIM|RIS^1.2^ISO|HOSP|20260105080000||ORM^O01|K01|T|2.3.1||||||8859/1\rPID|1||Y1\r"


def message(old: str = "", new: str = "") -> bytes:
    return MESSAGE.replace(old, new).encode("latin-1")


def test_sender_and_receiver_are_swapped() -> None:
    answer = Segments(build_ack(message(), "AA"))
    assert [answer.raw("MSH", field) for field in (3, 4, 5, 6)] == ["RIS^1.2^ISO", "HOSP", "YEETER", "SIM"]


def test_control_id_version_processing_id_and_character_set_are_echoed() -> None:
    answer = Segments(build_ack(message(), "AA"))
    assert answer.value("MSA", 1) == "AA"
    assert answer.value("MSA", 2) == "K01"
    assert [answer.raw("MSH", field) for field in (9, 11, 12, 18)] == ["ACK^O01", "T", "2.3.1", "8859/1"]


def test_the_answer_has_a_control_id_time_and_sender_of_its_own() -> None:
    sent_at = datetime(2026, 1, 5, 8, 0, 1)  # noqa: DTZ001
    ack = build_ack(message(), "AA", sending_application="Archive & Co", control_id="Z9", sent_at=sent_at)
    answer = Segments(ack)
    assert answer.value("MSH", 3) == "Archive & Co"
    assert answer.value("MSH", 7) == "20260105080001"
    assert answer.value("MSH", 10) == "Z9"
    assert Segments(build_ack(message(), "AA")).value("MSH", 10) == "AK01"


@given(st.text(max_size=80))
def test_any_text_comes_back(text: str) -> None:
    ack = build_ack(message("8859/1", "UNICODE UTF-8"), "AE", text)
    assert parse_ack(ack) == Acknowledgement("AE", "K01", text, "RIS")


def test_characters_that_the_message_can_not_declare_become_question_marks() -> None:
    assert parse_ack(build_ack(message(), "AR", "Größe 漢")).text == "Größe ?"


def test_from_2_5_on_the_text_is_in_an_err_segment_too() -> None:
    ack = build_ack(message("2.3.1", "2.5.1"), "AE", "no such patient")
    assert Segments(ack).value("ERR", 8) == "no such patient"
    assert Segments(ack).raw("MSH", 9) == "ACK^O01^ACK"
    assert b"ERR" not in build_ack(message("2.3.1", "2.5.1"), "AA", "fine")
    assert b"ERR" not in build_ack(message(), "AE", "no such patient")


def test_other_delimiters_are_answered_in_kind() -> None:
    ack = build_ack(b"MSH#*!@%#A#B#C#D###ORM*O01#K1#T#2.3.1\r", "AE", "50 # off")
    assert ack.startswith(b"MSH#*!@%#C#D#A#B###ACK*O01#AK1#T#2.3.1\r")
    assert parse_ack(ack) == Acknowledgement("AE", "K1", "50 # off", "C")


def test_an_answer_never_ends_its_own_frame() -> None:
    ack = build_ack(message("K01", "K\x1c\x0b").replace(b"HOSP", b"HO\x1c\x0bSP"), "AA")
    assert b"\x1c" not in ack
    assert b"\x0b" not in ack


@pytest.mark.parametrize("junk", [b"", b"GET / HTTP/1.1\r\n", b"PID|1", b"MSH", b"\x00" * 10])
def test_there_is_nobody_to_answer_without_msh(junk: bytes) -> None:
    with pytest.raises(ValueError, match="MSH"):
        build_ack(junk, "AR")


@pytest.mark.parametrize("code", ["AA", "AE", "AR", "CA", "CE", "CR"])
def test_every_code_is_read(code: str) -> None:
    assert parse_ack(f"MSH|^~\\&|RIS\rMSA|{code}|K01\r".encode()).code == code


@pytest.mark.parametrize(
    "frame",
    [
        b"\x0bMSH|^~\\&|RIS\rMSA|AA|K01|ok\r\x1c\r",  # framing still around it
        b"MSH|^~\\&|RIS\nMSA|AA|K01|ok\n",  # LF
        b"MSH|^~\\&|RIS\r\nMSA|AA|K01|ok\r\n",  # CRLF
        b"MSH|^~\\&|RIS\rMSA|AA|K01|ok",  # no last CR
        b"MSH#*!@%#RIS\rMSA#AA#K01#ok\r",
        b"MSH|^~\\&|RIS\rEVN|A01\rMSA| AA | K01 |ok|||\r",
        b"MSH|^~\\&|RIS||||||ACK|1|T|2.3.1||||||WEIRD\rMSA|AA|K01|ok\r",
    ],
)
def test_peers_write_acknowledgements_in_many_ways(frame: bytes) -> None:
    assert parse_ack(frame) == Acknowledgement("AA", "K01", "ok", "RIS")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "MSH"),
        (b"OK", "MSH"),
        (b"MSA|AA|K01\r", "MSH"),
        (b"MSH|^~\\&|RIS\rNTE|MSA|AA\r", "no MSA"),
        (b"MSH|^~\\&|RIS|MSA|AA|K01\r", "no MSA"),
        (b"MSH|^~\\&|RIS\rMSA\r", "MSA-1 is ''"),
        (b"MSH|^~\\&|RIS\rMSA|OK|K01\r", "MSA-1 is 'OK'"),
        (b"MSH|^~\\&|RIS\rMSA#AA#K01\r", "no MSA"),  # not the delimiter that MSH declares
    ],
)
def test_what_is_no_acknowledgement_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_ack(frame)


def test_a_missing_control_id_is_empty() -> None:
    assert parse_ack(b"MSH|^~\\&|RIS\rMSA|AA\r").control_id == ""


def test_err_segments_are_shown_to_the_person() -> None:
    frame = b"MSH|^~\\&|RIS\rMSA|AE|K01\rERR||PID^1^5|101^Required field missing^HL70357|E||||Name is required\r"
    assert parse_ack(frame).text == "PID-1-5 101 Required field missing E Name is required"


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda junk: b"MSH|^~\\&|" + junk + b"\rMSA|AA|" + junk))
def test_only_value_error_comes_of_junk(junk: bytes) -> None:
    for attempt in (parse_ack, lambda frame: build_ack(frame, "AR", "what?")):
        try:
            attempt(junk)
        except ValueError:
            continue


def outcome(frame: bytes) -> Acknowledgement | str:
    try:
        return parse_ack(frame)
    except ValueError as error:
        return str(error)


TEXTS = st.lists(st.sampled_from(["", "K01", " K1 ", "A^B", "&", "MSA", "a~b", "\\F\\", "é\x0b"]), max_size=4)
CODE = st.sampled_from(["AA", "AA", "CR", "AC", "AA^B", ""])
ENDS = st.sampled_from(["", "\r", "\r\r", "\rERR|1|2|3|E", "\rMSA|AR|K02\r", "\rZXX|1\r", "|\r"])


@settings(max_examples=300)
@given(TEXTS, CODE, TEXTS, ENDS)
def test_the_short_way_reads_what_the_long_way_reads(header: list[str], code: str, answer: list[str], end: str) -> None:
    msh, msa = "|".join(["MSH", "^~\\&", *header]), "|".join(["MSA", code, *answer])
    frame = f"{msh}\r{msa}{end}".encode()
    assert outcome(frame) == outcome(frame + b"\n")  # a line feed means nothing, and takes the long way


FIELDS = st.lists(st.text("ABé^&~\\#\x0b") | st.just("ORM^O01") | st.just("2.5.1"), max_size=18)


@given(FIELDS, st.sampled_from([datetime(2026, 1, 5, 8, 0, 0, 1), datetime(2026, 1, 5, 8, 0, 1)]))  # noqa: DTZ001
def test_an_acceptance_is_the_acknowledgement_it_stands_for(fields: list[str], sent_at: datetime) -> None:
    header = "|".join(["MSH", "^~\\&", *fields]).encode()
    for _ in range(2):
        whole = build_ack(header, "AA", sending_application="R&", sent_at=sent_at)
        assert build_acceptance(header, "R&", sent_at) == whole
