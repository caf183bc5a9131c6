"""The attributes that an order decides: patient, study, request and the identity of each series (PS3.3 C.7.1 to C.7.5).

HL7 writes the same values from the same order, so a message and its images agree by construction.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.dicom.codes import code_item
from app.dicom.elements import Attributes
from app.dicom.person_name import to_pn
from app.dicom.text import da, ds, lo, lt, sh, tm, ut, years_between
from app.domain import identity
from app.domain.order import Order, Patient

INSTITUTION = "Yeeter Simulated Hospital"
MANUFACTURER = "HL7 Yeeter"


def study_attributes(order: Order) -> Attributes:
    """What is the same in every instance of the order's study."""
    study = order.study
    sectional = study.modality in ("CT", "MR")
    return {
        **_patient(order.patient),
        **_patient_study(order),
        "StudyInstanceUID": order.study_uid,
        "StudyDate": da(order.scheduled_at),
        "StudyTime": tm(order.scheduled_at),
        "StudyID": sh(order.procedure_id),
        "AccessionNumber": sh(order.accession),
        "ReferringPhysicianName": to_pn(order.referring.name),
        "RequestingService": lo(order.organisation),
        "StudyDescription": lo(study.description),
        "ProcedureCodeSequence": [code_item(order.procedure)],
        "Modality": study.modality,
        "BodyPartExamined": study.body_part,
        "ProtocolName": lo(order.protocol.meaning),
        "PerformedProcedureStepID": sh(order.step_id),
        "PerformedProcedureStepStartDate": da(order.scheduled_at),
        "PerformedProcedureStepStartTime": tm(order.scheduled_at),
        "PerformedProcedureStepDescription": lo(order.protocol.meaning),
        "RequestAttributesSequence": [_request(order)],
        "Manufacturer": MANUFACTURER,
        "ManufacturerModelName": f"{study.modality} phantom",
        "InstitutionName": INSTITUTION,
        "StationName": f"YEETER_{study.modality}",
        **({"FrameOfReferenceUID": identity.uid(order.run_key, order.number, "frame")} if sectional else {}),
    }


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


def _patient(patient: Patient) -> Attributes:
    attributes: dict[str, Any] = {
        "PatientName": to_pn(patient.name),
        "PatientID": lo(patient.patient_id),
        "PatientBirthDate": da(patient.birth_date),
        "PatientSex": patient.sex,
    }
    if patient.issuer:
        attributes["IssuerOfPatientID"] = lo(patient.issuer)
    if patient.issuer_uid:
        universal = {"UniversalEntityID": ut(patient.issuer_uid), "UniversalEntityIDType": "ISO"}
        attributes["IssuerOfPatientIDQualifiersSequence"] = [universal]
    return attributes


def _patient_study(order: Order) -> Attributes:
    patient = order.patient
    values = {
        "PatientAge": years_between(patient.birth_date, order.scheduled_at.date()) if patient.birth_date else "",
        "PatientSize": ds(patient.height_m) if patient.height_m else "",
        "PatientWeight": ds(patient.weight_kg) if patient.weight_kg else "",
        "Allergies": lo(patient.allergies),
        "AdditionalPatientHistory": lt(order.clinical_information),
        "AdmissionID": lo(order.visit_number),
    }
    return {keyword: value for keyword, value in values.items() if value}  # all of type 3: absent, not empty


def _request(order: Order) -> Attributes:
    """The item of Request Attributes Sequence (PS3.3 table 10-9)."""
    return {
        "AccessionNumber": sh(order.accession),
        "StudyInstanceUID": order.study_uid,
        "RequestedProcedureID": sh(order.procedure_id),
        "RequestedProcedureDescription": lo(order.procedure.meaning),
        "RequestedProcedureCodeSequence": [code_item(order.procedure)],
        **({"ReasonForTheRequestedProcedure": lo(order.reason)} if order.reason else {}),
        "ScheduledProcedureStepID": sh(order.step_id),
        "ScheduledProcedureStepDescription": lo(order.protocol.meaning),
        "ScheduledProtocolCodeSequence": [code_item(order.protocol)],
    }
