"""Parts of the DICOM receiver: what it reads of an instance, whom it lies about, what a query matches."""

from __future__ import annotations

import struct
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from app.dicom.network.identifiers import encode_identifier
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.receivers.dicom.find import decode_identifier, study_answer, study_filter
from app.receivers.dicom.intake import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, Intake
from app.receivers.dicom.ledger import Patient, Study, StudyEntry, StudyLedger
from app.receivers.dicom.lies import Liar, Lie, duplicate_of
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.reading import WANTED, read, read_study, scan
from tests.contract.instances import CT_IMAGE_STORAGE, instance


def study(order: int, patient: str = "") -> Study:
    return Study(f"1.2.{order}", f"7K3QX0AB0000{order}", Patient(patient or f"P{order}", f"DOE^{order}", "", "F"))


# --- Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
@pytest.mark.parametrize(
    ("character_set", "name"), [("", "DOE^JANE"), ("ISO_IR 100", "MÜLLER^ZOË"), ("ISO_IR 192", "山田^太郎")]
)
def test_the_study_of_an_instance_is_read(transfer_syntax: str, character_set: str, name: str) -> None:
    one = instance(4, transfer_syntax=transfer_syntax, SpecificCharacterSet=character_set, PatientName=name)
    read = read_study(one.data, transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN)
    assert read.accession == "7K3QX0AB00004"
    assert read.patient == Patient("P4", name, "19700101", "F")
    assert read.study_uid.startswith("2.25.")


def test_a_truncated_data_set_is_read_as_far_as_it_matters() -> None:
    assert read_study(bytes(instance(4).data)[:-20], False).accession == "7K3QX0AB00004"


@pytest.mark.parametrize("character_set", ["", "ISO_IR 100", "ISO_IR 192"])
def test_a_usual_instance_is_not_left_to_pydicom(character_set: str) -> None:
    name = "Doe^Zoë" if character_set else "Doe^Zoe"
    assert scan(instance(SpecificCharacterSet=character_set, PatientName=name).data) is not None


VRS = st.sampled_from(("UI", "LO", "PN", "DA", "CS", "SH", "AE", "US", "OB", "SQ", "UN", "UT", "OV", "ZZ", "ox", "  "))
TEXTS = st.text("A^= \\.1\0\x1bé", max_size=8)
USUAL_VRS = {0x00080005: "CS", 0x00080050: "SH", 0x00100010: "PN", 0x00100030: "DA", 0x00100040: "CS", 0x0020000D: "UI"}
CHARACTER_SETS = st.sampled_from(
    (
        b"ISO_IR 100",
        b"ISO_IR 192",
        b"ISO_IR 6 ",
        b"ISO_IR 6",
        b"",
        b"ISO 2022 IR 87",
        b"\\ISO 2022 IR 149 ",
        b"latin",
        b"I\xff",
    )
)
VALUES = TEXTS.map(str.encode) | TEXTS.map(lambda text: text.encode("latin-1")) | st.binary(max_size=8)
TAGS = st.sampled_from(
    (
        *(0x00020010, 0x00080005, 0x00080016, 0x00080050, 0x00081140, 0x00090010, 0x00100010, 0x00100020, 0x00100030),
        *(0x00100040, 0x00101000, 0x0020000D, 0x0020000E, 0x7FE00010, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD),
    )
)


@st.composite
def encoded(draw: st.DrawFn) -> bytes:
    """A data set in explicit VR, most often with what is read, in order and whole, but not always."""
    tags = draw(st.lists(TAGS, max_size=9, unique=True).map(sorted) | st.lists(TAGS, max_size=9))
    data = b""
    for tag in tags:
        vr = draw(st.just(USUAL_VRS.get(tag, "LO")) | VRS)
        value = draw(CHARACTER_SETS if tag == 0x00080005 else VALUES)
        length = draw(st.sampled_from((len(value),) * 12 + (len(value) + 1, 0xFFFF, 0)))
        head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
        is_long = vr in ("OB", "SQ", "UN", "UT", "OV")
        if is_long and draw(st.integers(0, 9)) == 0:
            length = 0xFFFFFFFF
        data += head + (struct.pack("<HI", 0, length) if is_long else struct.pack("<H", length)) + value
    return data[: len(data) - draw(st.sampled_from((0, 0, 0, 1, 5, 9)))]


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's about what it reads
@settings(max_examples=500, deadline=None)
@given(encoded())
def test_what_is_read_without_pydicom_is_what_pydicom_reads(data: bytes) -> None:
    texts = scan(data)
    if texts is not None:
        assert {tag: texts.get(tag, "") for tag in WANTED} == read(data, False)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's about what it reads
@given(st.binary(max_size=300), st.sampled_from((EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)))
def test_any_bytes_get_an_answer(data: bytes, transfer_syntax: str) -> None:
    intake = Intake(DicomReceiverOptions(), StudyLedger())
    assert intake.take(EncodedInstance(CT_IMAGE_STORAGE, "1.2.3", transfer_syntax, data)) in (
        SUCCESS,
        CANNOT_UNDERSTAND,
    )


def test_an_instance_that_can_not_be_kept_is_not_in_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    ledger = StudyLedger()
    intake = Intake(DicomReceiverOptions(keep=tmp_path / "file"), ledger)
    assert intake.take(instance()) == OUT_OF_RESOURCES
    assert ledger.entries() == []


# --- Lies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "lies"),
    [
        (DicomReceiverOptions(), [None, None, None, None, None]),
        (DicomReceiverOptions(drop=2), ["drop", "drop", None, None, None]),
        (DicomReceiverOptions(drop=1, duplicate=1, fail=1), ["drop", "duplicate", "fail", None, None]),
        (DicomReceiverOptions(swap_patient=2), [None, "swap_patient", "swap_patient", None, None]),
        (DicomReceiverOptions(drop=1, swap_patient=1), ["drop", "swap_patient", None, None, None]),
    ],
)
def test_the_first_studies_are_lied_about(options: DicomReceiverOptions, lies: list[str | None]) -> None:
    liar = Liar(options)
    assert [liar.about(study(order))[0] for order in range(5)] == lies
    assert [liar.about(study(order))[0] for order in range(5)] == lies, "and the same again"


def test_a_swapped_study_gets_the_patient_of_an_earlier_one() -> None:
    liar = Liar(DicomReceiverOptions(swap_patient=1))
    told = [liar.about(study(order, patient)) for order, patient in enumerate(["A", "A", "B", "C"])]
    assert [(lie, patient.id) for lie, patient in told] == [
        (None, "A"),
        (None, "A"),
        (Lie.SWAP_PATIENT, "A"),
        (None, "C"),
    ]


def test_a_duplicate_differs_in_its_study_uid_alone() -> None:
    twin = duplicate_of(study(1))
    assert twin.study_uid not in ("", study(1).study_uid)
    assert replace(twin, study_uid=study(1).study_uid) == study(1)
    assert twin == duplicate_of(study(1))


# --- Queries ----------------------------------------------------------------------------------------------------------

ENTRY = StudyEntry(Study("1.2.3", "7K3QX0AB00001", Patient("P.1", "DOE^JANE", "19700101", "F")), {1, 2})


def query(**keys: object) -> Dataset:
    ds = Dataset()
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("keys", "matches"),
    [
        ({}, True),
        ({"AccessionNumber": ""}, True),
        ({"AccessionNumber": "7K3QX0AB00001"}, True),
        ({"AccessionNumber": "7K3QX0AB*"}, True),
        ({"AccessionNumber": "*00001"}, True),
        ({"AccessionNumber": "7K3QX0AB0000?"}, True),
        ({"AccessionNumber": "7K3QX0AB000?"}, False),
        ({"AccessionNumber": "7K3QX0A"}, False),
        ({"AccessionNumber": "7k3qx0ab*"}, False),
        ({"PatientID": "P.1"}, True),
        ({"PatientID": "P?1"}, True),
        ({"PatientID": "PX1"}, False),
        ({"PatientID": "[P].1"}, False),
        ({"PatientName": "DOE^*"}, True),
        ({"PatientName": "DOE^JANE^^"}, True),
        ({"PatientName": "ROE^*"}, False),
        ({"StudyInstanceUID": "1.2.3"}, True),
        ({"StudyInstanceUID": ["1.2", "1.2.3"]}, True),
        ({"StudyInstanceUID": ["1.2", "1.2.4"]}, False),
        ({"AccessionNumber": "7K3*", "PatientID": "other"}, False),
        ({"PatientSex": "M", "StudyDate": "20200101"}, True),
    ],
)
def test_a_query_matches(keys: dict[str, object], matches: bool) -> None:
    assert study_filter(query(**keys))(ENTRY) is matches


@given(st.text("aB.*?", max_size=12), st.text("aB.\n", max_size=12))
def test_wildcards_match_as_in_file_names(pattern: str, text: str) -> None:
    entry = StudyEntry(Study("1.2.3", text, Patient("", "", "", "")))
    assert study_filter(query(AccessionNumber=pattern))(entry) is (not pattern or fnmatchcase(text, pattern))


def test_many_wildcards_take_no_longer_than_few() -> None:
    entry = StudyEntry(Study("1.2.3", "A" * 200, Patient("", "", "", "")))
    assert not study_filter(query(AccessionNumber="*A?" * 60 + "B"))(entry)


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_an_answer_is_a_data_set(transfer_syntax: str) -> None:
    entry = StudyEntry(Study("1.2.3", "7K3", Patient("P" * 100_000, "山田^太郎", "", "F")))
    answer = study_answer(entry, query(PatientName="", PatientID="", AccessionNumber="", PatientSex=""), "YEETER")
    ds = decode_identifier(encode_identifier(answer, transfer_syntax), transfer_syntax)
    assert {element.keyword: str(element.value) for element in ds} == answer | {"PatientID": "P" * 0xFFFE}


@given(st.text("A.*?[]\\^$7", max_size=12))
def test_any_key_can_be_asked_for(text: str) -> None:
    study_filter(query(AccessionNumber=text))(ENTRY)


def test_an_answer_has_what_was_asked_for_and_is_known() -> None:
    asked = query(AccessionNumber="*", PatientName="", NumberOfStudyRelatedInstances="", StudyDescription="")
    answer = study_answer(ENTRY, asked, "YEETER")
    assert answer == {
        "SpecificCharacterSet": "ISO_IR 192",
        "AccessionNumber": "7K3QX0AB00001",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "YEETER",
        "PatientName": "DOE^JANE",
        "StudyInstanceUID": "1.2.3",
        "NumberOfStudyRelatedInstances": "2",
    }
