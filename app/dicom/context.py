"""The elements that an order decides: patient, study, request and the identity of each series (PS3.3 C.7.1 to C.7.5).

HL7 writes the same values from the same order, so a message and its images agree by construction.

    elements of                                          decided by                encoded
    --------------------------------------------------   -----------------------   --------------------------------
    equipment (C.7.5.1), what is examined                modality and body part    once, with the series' own
    the examination: descriptions, codes                 procedure and protocol    once, for all orders of it
    patient (C.7.1), study (C.7.2), request (10-9)       the order                 once an order
    series (C.7.3)                                       its position              once a series
    instance, acquisition (C.7.6, C.12.1)                its position and time     once an instance

Every order gives the same tags. An optional element (type 3) without a value is absent: it has no bytes.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from app.dicom.codes import code_item
from app.dicom.elements import Attributes, Elements, absent, encode, sequence, tag_of
from app.dicom.person_name import to_pn
from app.dicom.text import character_set_of, da, ds, lo, lt, sh, tm, ut, years_between
from app.domain import identity
from app.domain.order import Code, Modality, Order, Patient

INSTITUTION = "Yeeter Simulated Hospital"
MANUFACTURER = "HL7 Yeeter"
_SECTIONAL: tuple[Modality, ...] = ("CT", "MR")

_OPTIONAL = absent(
    (
        "SpecificCharacterSet",
        *("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence"),
        *("PatientAge", "PatientSize", "PatientWeight", "Allergies", "AdditionalPatientHistory", "AdmissionID"),
    )
)
_ACCESSION, _STUDY_UID = tag_of("AccessionNumber"), tag_of("StudyInstanceUID")


class OfStudy(NamedTuple):
    """What is the same in every instance of an order's study, and the character set of all of its text."""

    elements: Elements
    character_set: str


def equipment_attributes(modality: Modality, body_part: str) -> Attributes:
    """What examines which part of the body."""
    return {
        "Modality": modality,
        "BodyPartExamined": body_part,
        "Manufacturer": MANUFACTURER,
        "ManufacturerModelName": f"{modality} phantom",
        "InstitutionName": INSTITUTION,
        "StationName": f"YEETER_{modality}",
    }


def study_elements(order: Order) -> OfStudy:
    """The elements that the order decides, in the narrowest character set that holds the text of all series."""
    examination = _examination(order.study.description, order.procedure, order.protocol)
    study, request = _study(order), _request(order)
    issuer = ut(order.patient.issuer_uid)
    text = (*study.values(), *request.values(), issuer, examination.text, *(s.description for s in order.study.series))
    character_set = character_set_of("".join(text))
    elements = _OPTIONAL | encode(study, character_set)
    of_study, of_request = examination.elements(character_set)
    elements.update(of_study)
    item = {_ACCESSION: elements[_ACCESSION], _STUDY_UID: elements[_STUDY_UID]}
    item.update(of_request)
    item.update(encode(request, character_set))
    elements.update(sequence("RequestAttributesSequence", item))
    if issuer:
        elements.update(_issuer_qualifiers(issuer, character_set))
    if character_set:
        elements.update(encode({"SpecificCharacterSet": character_set}, character_set))
    return OfStudy(elements, character_set)


def series_attributes(order: Order, series: int, started_at: datetime) -> Attributes:
    """What is the same in every instance of series ``series`` (from 1)."""
    return {
        "SeriesInstanceUID": identity.series_uid(order.run_key, order.number, series),
        "SeriesNumber": str(series),
        "SeriesDescription": lo(order.study.series[series - 1].description),
        "SeriesDate": da(started_at),
        "SeriesTime": tm(started_at),
    }


def instance_attributes(sop_instance_uid: str, instance: int, acquired_at: datetime) -> Attributes:
    """What instance ``instance`` (from 1) has of its own, whatever the modality."""
    day, time = da(acquired_at), tm(acquired_at)
    return {
        "SOPInstanceUID": sop_instance_uid,
        "InstanceNumber": str(instance),
        "AcquisitionDate": day,
        "AcquisitionTime": time,
        "ContentDate": day,
        "ContentTime": time,
    }


def _study(order: Order) -> dict[str, str]:
    day, time = da(order.scheduled_at), tm(order.scheduled_at)
    attributes = {
        "PatientName": to_pn(order.patient.name),
        "PatientID": lo(order.patient.patient_id),
        "PatientBirthDate": da(order.patient.birth_date),
        "PatientSex": order.patient.sex,
        "StudyInstanceUID": order.study_uid,
        "StudyDate": day,
        "StudyTime": time,
        "StudyID": sh(order.procedure_id),
        "AccessionNumber": sh(order.accession),
        "ReferringPhysicianName": to_pn(order.referring.name),
        "RequestingService": lo(order.organisation),
        "PerformedProcedureStepID": sh(order.step_id),
        "PerformedProcedureStepStartDate": day,
        "PerformedProcedureStepStartTime": time,
    }
    if order.study.modality in _SECTIONAL:
        attributes["FrameOfReferenceUID"] = identity.uid(order.run_key, order.number, "frame")
    attributes.update(_present(order, order.patient))
    return attributes


def _present(order: Order, patient: Patient) -> dict[str, str]:
    """The optional attributes of patient and visit that are not empty."""
    values = {
        "IssuerOfPatientID": lo(patient.issuer),
        "PatientAge": years_between(patient.birth_date, order.scheduled_at.date()) if patient.birth_date else "",
        "PatientSize": ds(patient.height_m) if patient.height_m else "",
        "PatientWeight": ds(patient.weight_kg) if patient.weight_kg else "",
        "Allergies": lo(patient.allergies),
        "AdditionalPatientHistory": lt(order.clinical_information),
        "AdmissionID": lo(order.visit_number),
    }
    return {keyword: value for keyword, value in values.items() if value}


def _request(order: Order) -> dict[str, str]:
    """What the item of Request Attributes Sequence (PS3.3 table 10-9) has beyond study and examination."""
    attributes = {"RequestedProcedureID": sh(order.procedure_id), "ScheduledProcedureStepID": sh(order.step_id)}
    if order.reason:
        attributes["ReasonForTheRequestedProcedure"] = lo(order.reason)
    return attributes


@lru_cache(maxsize=64)
def _issuer_qualifiers(issuer_uid: str, character_set: str) -> Elements:
    universal = {"UniversalEntityID": issuer_uid, "UniversalEntityIDType": "ISO"}
    return encode({"IssuerOfPatientIDQualifiersSequence": [universal]}, character_set)


class _Examination:
    """What all orders of a procedure and protocol say of it."""

    def __init__(self, description: str, procedure: Code, protocol: Code) -> None:
        procedure_item, protocol_item = code_item(procedure), code_item(protocol)
        self._study: dict[str, Any] = {
            "StudyDescription": lo(description),
            "ProcedureCodeSequence": [procedure_item],
            "ProtocolName": lo(protocol.meaning),
            "PerformedProcedureStepDescription": lo(protocol.meaning),
        }
        self._request: dict[str, Any] = {
            "RequestedProcedureDescription": lo(procedure.meaning),
            "RequestedProcedureCodeSequence": [procedure_item],
            "ScheduledProcedureStepDescription": lo(protocol.meaning),
            "ScheduledProtocolCodeSequence": [protocol_item],
        }
        self.text = "".join((lo(description), *procedure_item.values(), *protocol_item.values()))
        self._encoded: dict[str, tuple[Elements, Elements]] = {}

    def elements(self, character_set: str) -> tuple[Elements, Elements]:
        """Those of the study, and those of the item of Request Attributes Sequence."""
        if character_set not in self._encoded:
            self._encoded[character_set] = encode(self._study, character_set), encode(self._request, character_set)
        return self._encoded[character_set]


_examination = lru_cache(maxsize=512)(_Examination)
