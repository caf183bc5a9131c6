"""A study says what its order says, in the bytes that pydicom would write, and says it the same way every time."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.sr.codedict import codes

from app.dicom.codes import ANATOMIC_REGIONS, VIEWS
from app.dicom.elements import encode
from app.dicom.person_name import normal_pn, to_pn
from app.dicom.study import generate_study
from app.domain.identity import instance_uid, series_uid
from app.domain.order import MODALITIES, Code, Modality, Order, Patient, PersonName, Pixels, Provider, SeriesPlan
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN
from tests.unit.dicom_orders import data_sets, every_procedure, one_of, patients, written_out
from tests.unit.sample_orders import orders
from tests.unit.written_by_pydicom import as_pydicom_writes

GOLDEN = {  # of all bytes of one tiny study
    "CT": "7bcb40c55170e205",
    "MR": "94f89c623ed14bc3",
    "CR": "b65f611bcf81ea13",
    "DX": "75ced9e1c99ab06a",
}


def digest(order: Order) -> str:
    return hashlib.sha256(b"".join(bytes(instance.data) for instance in generate_study(order))).hexdigest()[:16]


# --- Identity ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", patients(40), ids=lambda order: order.accession)
def test_every_instance_carries_the_order_s_identity(order: Order) -> None:
    small = replace(order.study, pixels="tiny")
    for ds in data_sets(replace(order, study=small)):
        patient = order.patient
        assert str(ds.PatientName) == to_pn(patient.name)
        assert ds.PatientID == patient.patient_id
        assert ds.IssuerOfPatientID == patient.issuer
        (issuer,) = ds.IssuerOfPatientIDQualifiersSequence
        assert (issuer.UniversalEntityID, issuer.UniversalEntityIDType) == (patient.issuer_uid, "ISO")
        assert ds.PatientBirthDate == (f"{patient.birth_date:%Y%m%d}" if patient.birth_date else "")
        assert ds.PatientSex == patient.sex
        assert str(ds.ReferringPhysicianName) == to_pn(order.referring.name)
        assert ds.AccessionNumber == order.accession
        assert ds.StudyInstanceUID == order.study_uid
        assert ds.StudyID == order.procedure_id
        assert (ds.StudyDate, ds.StudyTime) == (f"{order.scheduled_at:%Y%m%d}", f"{order.scheduled_at:%H%M%S}")
        assert ds.StudyDescription == order.study.description
        assert ds.AdmissionID == order.visit_number
        assert ds.AdditionalPatientHistory == order.clinical_information
        assert ds.RequestingService == order.organisation
        assert ds.Modality == order.study.modality
        assert ds.BodyPartExamined == order.study.body_part


def test_the_request_is_told_in_the_request_attributes_sequence() -> None:
    order = orders(1)[0]
    for ds in data_sets(replace(order, study=replace(order.study, pixels="tiny"))):
        (request,) = ds.RequestAttributesSequence
        assert request.AccessionNumber == order.accession
        assert request.StudyInstanceUID == order.study_uid
        assert request.RequestedProcedureID == order.procedure_id
        assert request.ScheduledProcedureStepID == order.step_id
        assert request.ReasonForTheRequestedProcedure == order.reason
        (protocol,) = request.ScheduledProtocolCodeSequence
        found = (protocol.CodeValue, protocol.CodeMeaning, protocol.CodingSchemeDesignator)
        assert found == (order.protocol.value, order.protocol.meaning, order.protocol.scheme)
        (procedure,) = ds.ProcedureCodeSequence
        assert procedure.CodeValue == order.procedure.value


def test_series_and_instances_are_counted_and_named_by_position() -> None:
    order = one_of("CT", "CHEST", instances=3)
    found = [(int(ds.SeriesNumber), int(ds.InstanceNumber), ds) for ds in data_sets(order)]
    assert [(series, instance) for series, instance, _ in found] == [(s, i) for s in range(1, 6) for i in range(1, 4)]
    for series, instance, ds in found:
        assert ds.SeriesInstanceUID == series_uid(order.run_key, order.number, series)
        assert ds.SOPInstanceUID == instance_uid(order.run_key, order.number, series, instance)
        assert ds.SeriesDescription == order.study.series[series - 1].description


@pytest.mark.parametrize(
    ("name", "character_set"),
    [
        (PersonName("Miller", "Ann"), None),
        (PersonName("Müller", "Änne", suffix="Jr.", prefix="Dr."), "ISO_IR 100"),
        (PersonName("Иванова", "Ольга"), "ISO_IR 192"),
        (PersonName("山田", "太郎"), "ISO_IR 192"),
        (PersonName("Novák", "Jiří"), "ISO_IR 192"),
    ],
)
def test_the_character_set_is_the_narrowest_that_will_do(name: PersonName, character_set: str | None) -> None:
    order = one_of("CR")
    plain = Provider("R1", PersonName("House", "Gregory"))
    order = replace(order, patient=replace(order.patient, name=name), referring=plain)
    ds = data_sets(order)[0]
    assert ds.get("SpecificCharacterSet") == character_set
    assert str(ds.PatientName) == to_pn(name)


PLAIN_NAME = PersonName("House", "Gregory")
PLAIN_CODE = Code("C1", "A code", "99YEETER")


def plain_order() -> Order:
    """One whose text is ASCII throughout."""
    order = one_of("CR")
    patient = replace(order.patient, name=PLAIN_NAME)
    return replace(
        order, patient=patient, referring=Provider("1", PLAIN_NAME), procedure=PLAIN_CODE, protocol=PLAIN_CODE
    )


@pytest.mark.parametrize(("text", "character_set"), [("Überwachung", "ISO_IR 100"), ("Жar", "ISO_IR 192")])
@pytest.mark.parametrize(
    "path",
    [
        *("accession", "visit_number", "procedure_id", "step_id", "reason", "organisation", "clinical_information"),
        *("patient.patient_id", "patient.issuer", "patient.issuer_uid", "patient.allergies", "patient.name.suffix"),
        *("referring.name.middle", "study.description"),
        *("procedure.value", "procedure.meaning", "procedure.scheme"),
        *("protocol.value", "protocol.meaning", "protocol.scheme"),
    ],
)
def test_text_anywhere_decides_the_character_set(path: str, text: str, character_set: str) -> None:
    order = plain_order()
    assert "SpecificCharacterSet" not in data_sets(order)[0]
    order = changed(order, path.split("."), text)
    assert {ds.SpecificCharacterSet for ds in data_sets(order)} == {character_set}
    assert_same_bytes(order)


def changed(value: Any, path: list[str], text: str) -> Any:
    """The value with a text in the place that the path leads to."""
    name, *rest = path
    return replace(value, **{name: changed(getattr(value, name), rest, text) if rest else text})


def test_the_text_of_one_series_decides_the_character_set_of_all() -> None:
    order = plain_order()
    order = replace(order, study=replace(order.study, series=(SeriesPlan("PA", 1), SeriesPlan("Seitlich, schräg", 1))))
    assert [ds.SpecificCharacterSet for ds in data_sets(order)] == ["ISO_IR 100"] * 2
    assert_same_bytes(order)


def test_a_backslash_does_not_divide_a_value() -> None:
    order = replace(one_of("DX"), organisation="A\\B", reason="^&\\|~", clinical_information="left\\right\r\nnext line")
    order = replace(order, patient=replace(order.patient, name=PersonName("O^Neil=x", "Back\\slash")))
    ds = data_sets(order)[0]
    assert ds.RequestingService == "A/B"
    assert ds.RequestAttributesSequence[0].ReasonForTheRequestedProcedure == "^&/|~"
    assert ds.AdditionalPatientHistory == "left\\right\r\nnext line"
    assert str(ds.PatientName) == "O Neil x^Back/slash"


def test_what_is_not_known_is_absent_or_empty_as_its_type_asks() -> None:
    order = one_of("CT", "HEAD")
    nobody = replace(
        order.patient, birth_date=None, sex="", issuer="", issuer_uid="", allergies="", weight_kg=None, height_m=None
    )
    ds = data_sets(replace(order, patient=nobody, reason="", clinical_information="", visit_number=""))[0]
    for keyword in ("PatientBirthDate", "PatientSex"):  # type 2
        assert keyword in ds and not ds[keyword].value
    for keyword in (
        *("PatientAge", "PatientSize", "PatientWeight", "Allergies", "IssuerOfPatientID", "AdmissionID"),
        *("IssuerOfPatientIDQualifiersSequence", "AdditionalPatientHistory"),
    ):
        assert keyword not in ds


@pytest.mark.parametrize(
    ("born", "age"),
    [
        (date(1955, 9, 7), "070Y"),
        (date(2024, 1, 5), "002Y"),
        (date(2024, 1, 6), "023M"),
        (date(2025, 11, 5), "002M"),
        (date(2025, 11, 6), "060D"),
        (date(2026, 1, 5), "000D"),
        (date(2026, 1, 6), None),
    ],
)
def test_age_is_told_in_the_unit_that_fits(born: date, age: str | None) -> None:
    order = one_of("CR")
    order = replace(order, patient=replace(order.patient, birth_date=born), scheduled_at=datetime(2026, 1, 5, 9, 0))  # noqa: DTZ001
    assert data_sets(order)[0].get("PatientAge") == age


def test_acquisition_runs_past_midnight_into_the_next_day() -> None:
    order = replace(one_of("MR", "BRAIN", instances=20), scheduled_at=datetime(2026, 1, 5, 23, 59, 30))  # noqa: DTZ001
    moments = [ds.AcquisitionDate + ds.AcquisitionTime for ds in data_sets(order)]
    assert moments[0] == "20260105235930"
    assert moments[-1].startswith("20260106")
    assert moments == sorted(moments)


def test_codes_are_those_of_the_context_groups() -> None:
    regions = {code.value: code.meaning for code in (getattr(codes.cid4, name) for name in codes.cid4.dir())}
    regions |= {code.value: code.meaning for code in (getattr(codes.cid4009, name) for name in codes.cid4009.dir())}
    views = {code.value: code.meaning for code in (getattr(codes.cid4010, name) for name in codes.cid4010.dir())}
    for code in ANATOMIC_REGIONS.values():
        assert regions[code.value] == code.meaning
    for code in VIEWS.values():
        assert views[code.value] == code.meaning


# --- Bytes ------------------------------------------------------------------------------------------------------------


def assert_same_bytes(order: Order) -> None:
    """Every instance, byte for byte."""
    instances = iter(generate_study(order))
    for series, plan in enumerate(order.study.series, 1):
        for instance in range(1, plan.instances + 1):
            assert bytes(next(instances).data) == as_pydicom_writes(order, series, instance)
    assert next(instances, None) is None


@pytest.mark.parametrize("order", every_procedure(), ids=lambda order: order.procedure.value)
def test_bytes_are_those_that_pydicom_writes(order: Order) -> None:
    assert_same_bytes(order)


def texts(limit: int) -> st.SearchStrategy[str]:
    """Of every length up to ``limit``, odd and even, in scripts that need each of the character sets."""
    alphabets = (
        st.characters(codec="ascii", exclude_characters="\0"),
        st.characters(codec="latin-1", exclude_characters="\0"),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    )
    return st.one_of(*(st.text(alphabet, max_size=limit) for alphabet in alphabets))


NAMES = st.builds(PersonName, *[texts(20)] * 5)
MEASURES = st.none() | st.floats(0.3, 250)
PATIENTS = st.builds(
    Patient,
    patient_id=texts(70),
    issuer=texts(20),
    issuer_uid=st.sampled_from(("", "2.25.1", "2.25.12")),
    name=NAMES,
    birth_date=st.none() | st.dates(),
    sex=st.sampled_from(("M", "F", "O", "")),
    allergies=texts(70),
    weight_kg=MEASURES,
    height_m=MEASURES,
)
CODES = st.builds(Code, texts(18), texts(66), texts(18))
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2999, 1, 1))  # noqa: DTZ001


@given(data=st.data(), modality=st.sampled_from(MODALITIES))
def test_bytes_are_those_that_pydicom_writes_whatever_the_order(data: st.DataObject, modality: Modality) -> None:
    """All modalities, optional values there and not, odd and even lengths, every character set."""
    order = one_of(modality)
    series = data.draw(st.lists(st.builds(SeriesPlan, texts(66), st.integers(1, 2)), min_size=1, max_size=2))
    order = replace(
        order,
        number=data.draw(st.integers(0, 2**20)),
        patient=data.draw(PATIENTS),
        referring=Provider("R1", data.draw(NAMES)),
        procedure=data.draw(CODES),
        protocol=data.draw(CODES),
        scheduled_at=data.draw(MOMENTS),
        study=replace(order.study, description=data.draw(texts(66)), series=tuple(series)),
        **{name: data.draw(texts(18)) for name in ("accession", "procedure_id", "step_id")},
        **{name: data.draw(texts(66)) for name in ("clinical_information", "reason", "organisation", "visit_number")},
    )
    assert_same_bytes(order)
    assert normal_pn(str(data_sets(order)[0].PatientName)) == to_pn(order.patient.name)


@pytest.mark.parametrize("pixels", ["full", "tiny"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_bytes_are_the_same_the_second_time_and_in_between_others(modality: Modality, pixels: Pixels) -> None:
    """What is kept from one order for the next is nothing that the order decides."""
    planned = [one_of(modality, pixels=pixels, order=order) for order in patients(4)]
    planned = [replace(order, study=replace(order.study, series=order.study.series[:1])) for order in planned]
    for order in (*planned, *reversed(planned)):
        assert_same_bytes(order)


def test_the_data_of_an_instance_can_not_be_changed() -> None:
    for pixels in ("full", "tiny"):
        view = memoryview(next(generate_study(one_of("CT", pixels=pixels))).data)
        assert view.readonly and view.contiguous


@pytest.mark.parametrize("modality", MODALITIES)
def test_values_and_data_sets_have_even_lengths(modality: Modality) -> None:
    for length in (1, 2, 3):
        order = replace(one_of(modality), organisation="x" * length, accession="A" * (length + 10))
        for instance in generate_study(order):
            assert instance.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
            assert len(instance.data) % 2 == 0
        ds = data_sets(order)[0]
        assert (ds.RequestingService, ds.AccessionNumber) == ("x" * length, "A" * (length + 10))


def test_tags_ascend() -> None:
    for order in every_procedure():
        for ds in data_sets(order):
            tags = [element.tag for element in ds]
            assert tags == sorted(tags)


def test_an_unknown_keyword_is_an_error() -> None:
    with pytest.raises(KeyError, match="NoSuchKeyword"):
        encode({"NoSuchKeyword": "x"}, "")


# --- Determinism ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("modality", MODALITIES)
def test_bytes_never_change(modality: Modality) -> None:
    """On no machine and with no release of a library: a study made again replaces the one that was sent."""
    assert digest(written_out(modality)) == GOLDEN[modality]


def test_threads_at_the_same_time_make_the_same_bytes() -> None:
    order = one_of("CT", "ABDOMEN", instances=6)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(digest, [order] * 16))) == 1


def test_pixels_do_not_depend_on_identity_but_differ_by_position() -> None:
    first, second = one_of("CT", "HEAD", instances=4), one_of("CT", "HEAD", instances=4, order=orders(9)[8])
    assert first.study_uid != second.study_uid
    pixels = [ds.PixelData for ds in data_sets(first)]
    assert pixels == [ds.PixelData for ds in data_sets(second)]
    assert len(set(pixels)) == len(pixels)


def test_identity_differs_between_orders() -> None:
    made = [uids_of(order) for order in orders(30)]
    assert len(set().union(*made)) == sum(map(len, made))


def uids_of(order: Order) -> set[str]:
    small = replace(order, study=replace(order.study, pixels="tiny"))
    return {uid for ds in data_sets(small) for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID)} | {order.study_uid}


def test_a_body_part_without_a_phantom_of_its_own_still_makes_images() -> None:
    for modality in MODALITIES:
        order = one_of(modality)
        order = replace(order, study=replace(order.study, body_part="ANKLE"))
        assert {ds.BodyPartExamined for ds in data_sets(order)} == {"ANKLE"}
