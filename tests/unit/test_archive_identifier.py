"""What is read of an archive's answers: by ourselves where they are usual, as pydicom would read them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword

from app.adapters.archive.identifier import READ, encode_query, read, read_answer, scan
from app.dicom.network.identifiers import encode_identifier
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, ArchivedStudy

ANSWER = {
    "SpecificCharacterSet": "ISO_IR 192",
    "QueryRetrieveLevel": "STUDY",
    "RetrieveAETitle": "YEETER",
    "AccessionNumber": "7K3QX0AB00001",
    "PatientName": "MÜLLER^ZOË^^",
    "PatientID": "P1",
    "PatientBirthDate": "19700101",
    "PatientSex": "F",
    "StudyInstanceUID": "2.25.1",
    "NumberOfStudyRelatedInstances": "12",
}
SYNTAXES = [
    pytest.param(EXPLICIT_VR_LITTLE_ENDIAN, False, id="explicit"),
    pytest.param(IMPLICIT_VR_LITTLE_ENDIAN, True, id="implicit"),
]


@pytest.mark.parametrize(("syntax", "implicit_vr"), SYNTAXES)
def test_an_answer_is_read(syntax: str, implicit_vr: bool) -> None:
    assert read_answer(encode_identifier(ANSWER, syntax), implicit_vr) == ArchivedStudy(
        "7K3QX0AB00001", "2.25.1", "P1", "MÜLLER^ZOË", "19700101", "F", 12, "ISO_IR 192"
    )


@pytest.mark.parametrize(("syntax", "implicit_vr"), SYNTAXES)
def test_what_an_archive_has_not_or_does_not_return_is_told_apart(syntax: str, implicit_vr: bool) -> None:
    empty = ANSWER | dict.fromkeys(("PatientBirthDate", "NumberOfStudyRelatedInstances"), "")
    del empty["PatientSex"]
    found = read_answer(encode_identifier(empty, syntax), implicit_vr)
    assert (found.birth_date, found.sex, found.instances) == ("", None, None)


@pytest.mark.parametrize(("syntax", "implicit_vr"), SYNTAXES)
@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192", "ISO_IR 6"])
def test_a_usual_answer_is_not_left_to_pydicom(syntax: str, implicit_vr: bool, character_set: str) -> None:
    usual = ANSWER | {"SpecificCharacterSet": character_set, "PatientName": "DOE^JANE"}
    assert scan(encode_identifier(usual, syntax), implicit_vr) is not None


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's about just that
@pytest.mark.parametrize(("syntax", "implicit_vr"), SYNTAXES)
def test_an_answer_in_the_other_encoding_is_read_all_the_same(syntax: str, implicit_vr: bool) -> None:
    assert read_answer(encode_identifier(ANSWER, syntax), not implicit_vr).accession == "7K3QX0AB00001"


@pytest.mark.parametrize(("syntax", "implicit_vr"), SYNTAXES)
def test_a_query_asks_for_all_that_is_read(syntax: str, implicit_vr: bool) -> None:
    texts = read(encode_query("7K3QX0AB", syntax), implicit_vr)
    assert texts.pop("AccessionNumber") == "7K3QX0AB*"
    assert texts == dict.fromkeys(set(READ) - {"AccessionNumber", "SpecificCharacterSet"}, "")


KEYWORDS = st.sampled_from(
    (*READ, *READ, "QueryRetrieveLevel", "RetrieveAETitle", "StudyID", "ReferencedStudySequence")
)
TEXTS = st.text("A^= \\.1\0\x1b\n\xa0éЖ", max_size=8)
VALUES = TEXTS.map(str.encode) | TEXTS.map(lambda text: text.encode("latin-1", "replace")) | st.binary(max_size=8)
NUMBERS = st.sampled_from((b"1", b"12 ", b" 3", b"", b"0012", b"+1", b"-1", b"1.5", b"12345678901", b"x", b"\xb2"))
CHARACTER_SETS = st.sampled_from(
    (
        *(b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 192", b"ISO_IR 6 ", b"ISO_IR 6", b"", b" ISO_IR 192"),
        *(b"ISO 2022 IR 87", b"\\ISO 2022 IR 149 ", b"latin", b"I\xff"),
    )
)
OTHER_VRS = st.sampled_from(("UI", "LO", "PN", "DA", "CS", "SH", "IS", "US", "OB", "SQ", "UN", "UT", "ZZ", "ox", "  "))


@st.composite
def encoded(draw: st.DrawFn, implicit_vr: bool) -> bytes:
    """A data set, most often with what is read, in order and whole, but not always."""
    keywords = draw(st.lists(KEYWORDS, max_size=9, unique=True).map(lambda found: sorted(found, key=_tag)))
    data = b""
    for keyword in keywords:
        tag = _tag(keyword)
        if draw(st.integers(0, 40)) == 0:
            tag = 0xFFFEE00D
        vr = dictionary_VR(keyword) if draw(st.integers(0, 15)) else draw(OTHER_VRS)
        value = draw(_values(keyword))
        length = draw(st.sampled_from((len(value),) * 20 + (len(value) + 1, 0xFFFF, 0)))
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if implicit_vr:
            data += head + struct.pack("<I", length) + value
        elif vr in ("OB", "SQ", "UN", "UT"):
            data += head + vr.encode() + struct.pack("<HI", 0, length) + value
        else:
            data += head + vr.encode() + struct.pack("<H", length) + value
    return data[: len(data) - draw(st.sampled_from((0, 0, 0, 1, 5, 9)))]


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag


def _values(keyword: str) -> st.SearchStrategy[bytes]:
    if keyword == "SpecificCharacterSet":
        return CHARACTER_SETS
    if keyword == "ReferencedStudySequence":
        return st.just(b"")
    return NUMBERS if keyword == "NumberOfStudyRelatedInstances" else VALUES


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's about what it reads
@settings(max_examples=500, deadline=None)
@given(st.data(), st.booleans())
def test_what_is_read_without_pydicom_is_what_pydicom_reads(data: st.DataObject, implicit_vr: bool) -> None:
    answer = data.draw(encoded(implicit_vr))
    texts = scan(answer, implicit_vr)
    if texts is not None:
        assert texts == read(answer, implicit_vr)
