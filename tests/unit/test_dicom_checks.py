"""The check of a study against its order: silent for every study we make, and not for a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread, dcmwrite

from app.dicom.checks import check_study
from app.dicom.estimate import estimate_bytes
from app.dicom.part10 import write_part10
from app.dicom.study import generate_study
from app.domain.order import MODALITIES, Modality, Order, PersonName, Pixels
from app.domain.study import EncodedInstance
from tests.unit.dicom_orders import every_procedure, one_of, patients


@pytest.mark.parametrize("order", every_procedure(), ids=lambda order: order.procedure.value)
def test_every_study_we_make_passes(order: Order) -> None:
    assert check_study(order, generate_study(order)) == []


def test_studies_of_all_sorts_of_patients_pass() -> None:
    for order in patients(60):
        small = replace(order, study=replace(order.study, pixels="tiny"))
        assert check_study(small, generate_study(small)) == []


@pytest.mark.parametrize("count", [1, 2, 37, 160])
def test_stacks_of_any_height_pass(count: int) -> None:
    order = one_of("CT", "CHEST", instances=count)
    assert check_study(order, generate_study(order)) == []


def edited(order: Order, number: int, edit: Callable[[Dataset], None]) -> list[EncodedInstance]:
    """The order's instances, one of them changed."""
    instances = list(generate_study(order))
    was = instances[number]
    ds = dcmread(BytesIO(write_part10(was) + was.data))
    edit(ds)
    out = BytesIO()
    dcmwrite(out, ds, implicit_vr=False, little_endian=True)
    body = out.getvalue()
    start = 132 + 12 + int.from_bytes(body[140:144], "little")  # after preamble, DICM, group length and group
    instances[number] = replace(was, data=body[start:])
    return instances


def setting(keyword: str, value: object) -> Callable[[Dataset], None]:
    return lambda ds: setattr(ds, keyword, value)


@pytest.mark.filterwarnings("ignore:The value length")  # of the UID that is too long on purpose
@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (setting("PatientName", "Somebody^Else"), "PatientName is 'Somebody^Else'"),
        (setting("PatientID", "X"), "PatientID is 'X'"),
        (setting("PatientBirthDate", ""), "PatientBirthDate is ''"),
        (setting("AccessionNumber", "X"), "AccessionNumber is 'X'"),
        (setting("Modality", "MR"), "Modality is 'MR'"),
        (setting("StudyInstanceUID", "1.2.3"), "StudyInstanceUID is '1.2.3'"),
        (setting("SOPInstanceUID", "1.2.3"), "SOPInstanceUID '1.2.3' differs"),
        (setting("SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"), "SOPClassUID"),
        (setting("SeriesInstanceUID", "1.2.3"), "series 1 has 2 SeriesInstanceUIDs"),
        (setting("FrameOfReferenceUID", "1." + "2" * 70), "not a valid UID"),
        (setting("RequestAttributesSequence", []), "RequestedProcedureID is ''"),
        (setting("IssuerOfPatientIDQualifiersSequence", []), "UniversalEntityID is ''"),
        (setting("PixelData", b"\0\0"), "PixelData has 2 bytes instead of 8192"),
        (setting("ImagePositionPatient", [0, 0, 0]), "not behind each other"),
        (setting("ImageOrientationPatient", [1, 0, 0, 0, 0, 1]), "2 different orientations"),
        (setting("SeriesNumber", "2"), "series 1 has 3 instances instead of 4"),
    ],
)
def test_a_wrong_attribute_is_told(edit: Callable[[Dataset], None], says: str) -> None:
    order = one_of("CT", "CHEST", instances=4)
    order = replace(order, study=replace(order.study, series=order.study.series[:2]))
    problems = check_study(order, edited(order, 1, edit))
    assert any(says in problem for problem in problems), problems


def test_a_wrong_geometry_is_told() -> None:
    order = one_of("MR", "BRAIN", instances=4)
    order = replace(order, study=replace(order.study, series=order.study.series[1:2]))  # axial
    instances = list(generate_study(order))
    position = dcmread(BytesIO(write_part10(instances[1]) + instances[1].data)).ImagePositionPatient

    def moved(millimetres: float) -> Callable[[Dataset], None]:
        return setting("ImagePositionPatient", [position[0], position[1], position[2] + millimetres])

    spacing = 12.0
    assert any("same position" in p for p in check_study(order, edited(order, 1, moved(spacing))))
    assert any("spacing varies" in p for p in check_study(order, edited(order, 1, moved(1.0))))
    single = replace(order, study=replace(order.study, series=(replace(order.study.series[0], instances=1),)))
    slanted = edited(single, 0, setting("ImageOrientationPatient", [1, 0, 0, 0.5, 1, 0]))
    assert any("not orthonormal" in p for p in check_study(single, slanted))


def test_missing_repeated_and_foreign_instances_are_told() -> None:
    order = one_of("CT", "HEAD", instances=2)
    instances = list(generate_study(order))
    assert check_study(order, instances[:-1]) == ["series 5 has 1 instances instead of 2"]
    assert any("occurs 2 times" in problem for problem in check_study(order, [*instances, instances[0]]))
    other = replace(order, patient=replace(order.patient, name=PersonName("Else")))
    assert len([p for p in check_study(other, instances) if "PatientName" in p]) == len(instances)


@pytest.mark.filterwarnings("ignore:Unknown encoding")
def test_what_is_not_dicom_is_told() -> None:
    order = one_of("CR")
    (first, *rest) = generate_study(order)
    assert check_study(order, [replace(first, data=b""), *rest])
    assert check_study(order, [replace(first, data=b"\x08\x00\x05\x00CS\xff\xffx"), *rest])


@pytest.mark.parametrize("pixels", ["full", "tiny"])
@pytest.mark.parametrize("modality", MODALITIES)
def test_the_estimate_is_a_little_more_than_the_files_take(modality: Modality, pixels: Pixels) -> None:
    for order in patients(5):
        made = one_of(modality, pixels=pixels, order=order)
        size = sum(len(write_part10(instance)) + len(instance.data) for instance in generate_study(made))
        assert size <= estimate_bytes(made.study) <= 1.2 * size
