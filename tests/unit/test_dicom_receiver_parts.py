"""Parts of the DICOM receiver: what it reads of an instance, whom it lies about, what a query matches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.receivers.dicom.find import study_answer, study_filter
from app.receivers.dicom.intake import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS, Intake, read_study
from app.receivers.dicom.ledger import Patient, Study, StudyEntry, StudyLedger
from app.receivers.dicom.lies import Liar, Lie, duplicate_of
from app.receivers.dicom.options import DicomReceiverOptions
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


@given(st.text("A.*?[]\\^$7", max_size=12))
def test_any_key_can_be_asked_for(text: str) -> None:
    study_filter(query(AccessionNumber=text))(ENTRY)


def test_an_answer_has_what_was_asked_for_and_is_known() -> None:
    asked = query(AccessionNumber="*", PatientName="", NumberOfStudyRelatedInstances="", StudyDescription="")
    answer = study_answer(ENTRY, asked, "YEETER")
    assert {element.keyword: str(element.value) for element in answer} == {
        "SpecificCharacterSet": "ISO_IR 192",
        "AccessionNumber": "7K3QX0AB00001",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "YEETER",
        "PatientName": "DOE^JANE",
        "StudyInstanceUID": "1.2.3",
        "NumberOfStudyRelatedInstances": "2",
    }
