"""The data set of an instance as pydicom writes it: what an order's study says, stated once more and apart from app.

Only how texts and names are cleaned is taken from ``app.dicom``; ``test_dicom_text`` looks after that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

from pydicom import Dataset, dcmwrite
from pydicom.sequence import Sequence

from app.dicom.person_name import to_pn
from app.dicom.study import acquisition_of, noise_key
from app.dicom.text import character_set_of, da, ds, lo, lt, sh, tm, ut, years_between
from app.domain.identity import instance_uid, series_uid, uid
from app.domain.order import Code, Order, Patient

Values = dict[str, Any]


def as_pydicom_writes(order: Order, series: int, instance: int) -> bytes:
    """The data set of an instance (both numbers from 1), written whole by pydicom."""
    plan = order.study.series[series - 1]
    acquisition = acquisition_of(order.study, plan)
    started_at = order.scheduled_at + (series - 1) * timedelta(minutes=2)
    acquired_at = started_at + timedelta(seconds=acquisition.seconds_an_image * (instance - 1))
    values: Values = {
        "SOPClassUID": acquisition.sop_class_uid,
        **_patient(order.patient),
        **_visit(order),
        **_study(order),
        **_equipment(order),
        "SeriesInstanceUID": series_uid(order.run_key, order.number, series),
        "SeriesNumber": str(series),
        "SeriesDescription": lo(plan.description),
        **_moment("Series", started_at),
        **acquisition.attributes(),
        "SOPInstanceUID": instance_uid(order.run_key, order.number, series, instance),
        "InstanceNumber": str(instance),
        **_moment("Acquisition", acquired_at),
        **_moment("Content", acquired_at),
        **acquisition.instance_attributes(instance - 1),
    }
    names = "".join(plan.description for plan in order.study.series)
    character_set = character_set_of("".join(_texts(values)) + names)
    ds = to_pydicom(values | ({"SpecificCharacterSet": character_set} if character_set else {}))
    ds.PixelData = acquisition.pixels(instance - 1, noise_key(order.study, series, instance)).tobytes()
    ds["PixelData"].VR = "OW"
    out = BytesIO()
    dcmwrite(out, ds, implicit_vr=False, little_endian=True)
    return out.getvalue()


def to_pydicom(values: Values) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        is_sequence = isinstance(value, list) and not any(isinstance(item, str) for item in value)
        setattr(ds, keyword, Sequence([to_pydicom(item) for item in value]) if is_sequence else value)
    return ds


def _patient(patient: Patient) -> Values:
    """PS3.3 C.7.1.1."""
    values: Values = {
        "PatientName": to_pn(patient.name),
        "PatientID": lo(patient.patient_id),
        "PatientBirthDate": da(patient.birth_date),
        "PatientSex": patient.sex,
    }
    if patient.issuer:
        values["IssuerOfPatientID"] = lo(patient.issuer)
    if patient.issuer_uid:
        item = {"UniversalEntityID": ut(patient.issuer_uid), "UniversalEntityIDType": "ISO"}
        values["IssuerOfPatientIDQualifiersSequence"] = [item]
    return values


def _visit(order: Order) -> Values:
    """PS3.3 C.7.2.2: of type 3, so nothing of it is there empty."""
    patient = order.patient
    values = {
        "PatientAge": years_between(patient.birth_date, order.scheduled_at.date()) if patient.birth_date else "",
        "PatientSize": ds(patient.height_m) if patient.height_m else "",
        "PatientWeight": ds(patient.weight_kg) if patient.weight_kg else "",
        "Allergies": lo(patient.allergies),
        "AdditionalPatientHistory": lt(order.clinical_information),
        "AdmissionID": lo(order.visit_number),
    }
    return {keyword: value for keyword, value in values.items() if value}


def _study(order: Order) -> Values:
    """PS3.3 C.7.2.1, 10.6 and C.7.3.1, C.7.4.1."""
    values: Values = {
        "StudyInstanceUID": order.study_uid,
        **_moment("Study", order.scheduled_at),
        "StudyID": sh(order.procedure_id),
        "AccessionNumber": sh(order.accession),
        "ReferringPhysicianName": to_pn(order.referring.name),
        "RequestingService": lo(order.organisation),
        "StudyDescription": lo(order.study.description),
        "ProcedureCodeSequence": [_code(order.procedure)],
        "ProtocolName": lo(order.protocol.meaning),
        "PerformedProcedureStepID": sh(order.step_id),
        **_moment("PerformedProcedureStepStart", order.scheduled_at),
        "PerformedProcedureStepDescription": lo(order.protocol.meaning),
        "RequestAttributesSequence": [_request(order)],
    }
    if order.study.modality in ("CT", "MR"):
        values["FrameOfReferenceUID"] = uid(order.run_key, order.number, "frame")
    return values


def _request(order: Order) -> Values:
    """PS3.3 table 10-9."""
    return {
        "AccessionNumber": sh(order.accession),
        "StudyInstanceUID": order.study_uid,
        "RequestedProcedureID": sh(order.procedure_id),
        "RequestedProcedureDescription": lo(order.procedure.meaning),
        "RequestedProcedureCodeSequence": [_code(order.procedure)],
        **({"ReasonForTheRequestedProcedure": lo(order.reason)} if order.reason else {}),
        "ScheduledProcedureStepID": sh(order.step_id),
        "ScheduledProcedureStepDescription": lo(order.protocol.meaning),
        "ScheduledProtocolCodeSequence": [_code(order.protocol)],
    }


def _equipment(order: Order) -> Values:
    """PS3.3 C.7.5.1."""
    modality = order.study.modality
    return {
        "Modality": modality,
        "BodyPartExamined": order.study.body_part,
        "Manufacturer": "HL7 Yeeter",
        "ManufacturerModelName": f"{modality} phantom",
        "InstitutionName": "Yeeter Simulated Hospital",
        "StationName": f"YEETER_{modality}",
    }


def _code(code: Code) -> Values:
    """PS3.3 8.8."""
    return {
        "CodeValue": sh(code.value),
        "CodingSchemeDesignator": sh(code.scheme),
        "CodeMeaning": lo(code.meaning),
    }


def _moment(of: str, moment: datetime) -> Values:
    return {f"{of}Date": da(moment), f"{of}Time": tm(moment)}


def _texts(values: Values) -> list[str]:
    """All text, down to the items of sequences."""
    texts = []
    for value in values.values():
        for part in value if isinstance(value, list) else [value]:
            texts += _texts(part) if isinstance(part, dict) else [str(part)]
    return texts
