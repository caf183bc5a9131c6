"""Our own check of a study against its order: what a validator of single instances can't see."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from app.dicom.part10 import write_part10
from app.dicom.person_name import normal_pn, to_pn
from app.dicom.radiographic import CR_IMAGE_STORAGE, DX_IMAGE_STORAGE_FOR_PRESENTATION
from app.dicom.sectional import CT_IMAGE_STORAGE, MR_IMAGE_STORAGE
from app.dicom.text import da, lo, sh, tm
from app.domain.order import Order
from app.domain.study import EncodedInstance

SOP_CLASSES = {
    "CT": CT_IMAGE_STORAGE,
    "MR": MR_IMAGE_STORAGE,
    "CR": CR_IMAGE_STORAGE,
    "DX": DX_IMAGE_STORAGE_FOR_PRESENTATION,
}
_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_TOLERANCE = 1e-3  # mm, and of direction cosines


def check_study(order: Order, instances: Iterable[EncodedInstance]) -> list[str]:
    """Everything in which the study is not the one that the order asks for; empty when all is well.

    Holds the headers of the whole study in memory, not its pixels.
    """
    problems: list[str] = []
    series: dict[int, list[Dataset]] = defaultdict(list)
    for number, instance in enumerate(instances, 1):
        where = f"instance {number}"
        try:
            ds = dcmread(BytesIO(write_part10(instance) + instance.data))
        except (InvalidDicomError, ValueError, NotImplementedError, EOFError) as error:
            problems.append(f"{where}: can't be read: {error}")
            continue
        problems += [f"{where}: {problem}" for problem in _instance_problems(order, instance, ds)]
        if "PixelData" in ds:
            del ds.PixelData
        series[int(ds.get("SeriesNumber") or 0)].append(ds)
    return problems + _count_problems(order, series) + _uid_problems(series) + _geometry_problems(order, series)


def _instance_problems(order: Order, instance: EncodedInstance, ds: Dataset) -> list[str]:
    problems = [
        f"{keyword} is {found!r} instead of {wanted!r}"
        for keyword, wanted, found in _compared(order, ds)
        if found != wanted
    ]
    for keyword, told in (("SOPClassUID", instance.sop_class_uid), ("SOPInstanceUID", instance.sop_instance_uid)):
        if ds.get(keyword) != told:
            problems.append(f"{keyword} {ds.get(keyword)!r} differs from the file meta information's {told!r}")
    for keyword in _UIDS:
        uid = ds.get(keyword)
        if uid is not None and not UID(uid).is_valid:  # at most 64 characters, PS3.5 section 9.1
            problems.append(f"{keyword} {uid!r} is not a valid UID")
    expected = ds.get("Rows", 0) * ds.get("Columns", 0) * 2
    if len(ds.get("PixelData") or b"") != expected or not expected:
        problems.append(f"PixelData has {len(ds.get('PixelData') or b'')} bytes instead of {expected}")
    return problems


def _compared(order: Order, ds: Dataset) -> list[tuple[str, str, str]]:
    """Keyword, wanted value and found value of everything that the order decides."""
    patient, study = order.patient, order.study
    wanted = {
        "SOPClassUID": SOP_CLASSES[study.modality],
        "Modality": study.modality,
        "BodyPartExamined": study.body_part,
        "StudyInstanceUID": order.study_uid,
        "AccessionNumber": sh(order.accession),
        "StudyID": sh(order.procedure_id),
        "StudyDate": da(order.scheduled_at),
        "StudyTime": tm(order.scheduled_at),
        "StudyDescription": lo(study.description),
        "PatientID": lo(patient.patient_id),
        "IssuerOfPatientID": lo(patient.issuer),
        "PatientBirthDate": da(patient.birth_date),
        "PatientSex": patient.sex,
        "AdmissionID": lo(order.visit_number),
    }
    pairs = [(keyword, value.strip(), _text(ds.get(keyword))) for keyword, value in wanted.items()]
    for keyword, name in (("PatientName", patient.name), ("ReferringPhysicianName", order.referring.name)):
        pairs.append((keyword, to_pn(name), normal_pn(_text(ds.get(keyword)))))
    request = _item(ds, "RequestAttributesSequence")
    for keyword, value in (
        ("RequestedProcedureID", order.procedure_id),
        ("ScheduledProcedureStepID", order.step_id),
    ):
        pairs.append((keyword, sh(value), _text(request.get(keyword))))
    protocol = _item(request, "ScheduledProtocolCodeSequence")
    pairs.append(("ScheduledProtocolCodeSequence", sh(order.protocol.value), _text(protocol.get("CodeValue"))))
    issuer = _item(ds, "IssuerOfPatientIDQualifiersSequence")
    pairs.append(("UniversalEntityID", patient.issuer_uid, _text(issuer.get("UniversalEntityID"))))
    return pairs


def _count_problems(order: Order, series: dict[int, list[Dataset]]) -> list[str]:
    planned = {number: plan.instances for number, plan in enumerate(order.study.series, 1)}
    found = {number: len(members) for number, members in series.items()}
    return [
        f"series {number} has {found.get(number, 0)} instances instead of {planned.get(number, 0)}"
        for number in sorted({*planned, *found})
        if found.get(number, 0) != planned.get(number, 0)
    ]


def _uid_problems(series: dict[int, list[Dataset]]) -> list[str]:
    problems = []
    copies = Counter(_text(ds.get("SOPInstanceUID")) for members in series.values() for ds in members)
    problems += [f"SOPInstanceUID {uid!r} occurs {count} times" for uid, count in copies.items() if count > 1]
    owners: dict[str, set[int]] = defaultdict(set)
    for number, members in series.items():
        uids = {_text(ds.get("SeriesInstanceUID")) for ds in members}
        if len(uids) != 1:
            problems.append(f"series {number} has {len(uids)} SeriesInstanceUIDs")
        for uid in uids:
            owners[uid].add(number)
    problems += [
        f"SeriesInstanceUID {uid!r} is shared by series {sorted(numbers)}"
        for uid, numbers in owners.items()
        if len(numbers) > 1
    ]
    return problems


def _geometry_problems(order: Order, series: dict[int, list[Dataset]]) -> list[str]:
    if order.study.modality not in ("CT", "MR"):
        return []
    problems = []
    for number, members in sorted(series.items()):
        try:
            found = _stack_problems(members)
        except (AttributeError, TypeError, ValueError) as error:
            found = [f"its geometry can't be read: {error}"]
        problems += [f"series {number}: {problem}" for problem in found]
    frames = {_text(ds.get("FrameOfReferenceUID")) for members in series.values() for ds in members}
    if len(frames) > 1 or "" in frames:
        problems.append("the study has not one FrameOfReferenceUID")
    return problems


def _stack_problems(members: list[Dataset]) -> list[str]:
    """PS3.3 C.7.6.2: row and column directions at right angles, slices parallel and evenly spaced."""
    orientations = {tuple(float(cosine) for cosine in ds.ImageOrientationPatient) for ds in members}
    if len(orientations) > 1:
        return [f"{len(orientations)} different orientations"]
    row, column = np.array(orientations.pop()).reshape(2, 3)
    if not np.allclose((row @ row, column @ column, row @ column), (1, 1, 0), atol=_TOLERANCE):
        return ["its row and column directions are not orthonormal"]
    positions = np.array([ds.ImagePositionPatient for ds in members], dtype=float)
    problems = []
    if np.any(np.abs((positions - positions[0]) @ np.array([row, column]).T) > _TOLERANCE):
        problems.append("its slices are not behind each other")
    along = sorted(positions @ np.cross(row, column))
    gaps = [high - low for low, high in pairwise(along)]
    if any(gap < _TOLERANCE for gap in gaps):
        problems.append("two slices are at the same position")
    elif gaps and max(gaps) - min(gaps) > 2 * _TOLERANCE:
        problems.append(f"slice spacing varies from {min(gaps):.4f} to {max(gaps):.4f} mm")
    if gaps and float(members[0].SliceThickness) > max(gaps) + _TOLERANCE:
        problems.append(f"slices of {members[0].SliceThickness} mm overlap at a spacing of {max(gaps):.4f} mm")
    return problems


def _item(ds: Dataset, keyword: str) -> Dataset:
    items = ds.get(keyword)
    return items[0] if items else Dataset()


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()
