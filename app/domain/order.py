"""What an imaging order says, apart from any wire format: the patient, the request, and the study to be made.

Both HL7 (``app.hl7``) and DICOM (``app.dicom``) are written from these values, so the two can't disagree. Values are
already within the shorter of the HL7 and DICOM lengths (SH 16, LO 64, PN 64 per component group).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from app.domain.records import record

Sex = Literal["M", "F", "O", ""]
Modality = Literal["CT", "MR", "CR", "DX"]
MODALITIES: tuple[Modality, ...] = ("CT", "MR", "CR", "DX")
Pixels = Literal["full", "tiny"]


@record(frozen=True, slots=True)
class PersonName:
    """A name in its parts; HL7's XPN and DICOM's PN order them differently (suffix and prefix are swapped)."""

    family: str
    given: str = ""
    middle: str = ""
    suffix: str = ""
    prefix: str = ""


@record(frozen=True, slots=True)
class Provider:
    """A physician: HL7's XCN is the ID and then the name; DICOM keeps the name only."""

    id: str
    name: PersonName


@record(frozen=True, slots=True)
class Patient:
    patient_id: str
    issuer: str  # assigning authority: namespace ID (PID-3.4.1, Issuer of Patient ID)
    issuer_uid: str  # universal ID of the assigning authority, of type ISO (PID-3.4.2)
    name: PersonName
    birth_date: date | None
    sex: Sex
    street: str = ""
    city: str = ""
    postal_code: str = ""
    country: str = ""  # ISO 3166 three letters
    phone: str = ""
    allergies: str = ""
    weight_kg: float | None = None
    height_m: float | None = None


@record(frozen=True, slots=True)
class Code:
    """A coded concept: code value (at most 16), meaning (at most 64), coding scheme designator (at most 16)."""

    value: str
    meaning: str
    scheme: str


@record(frozen=True, slots=True)
class SeriesPlan:
    description: str
    instances: int


@record(frozen=True, slots=True)
class StudyPlan:
    """The study that answers an order: what the worker has to make."""

    modality: Modality
    body_part: str  # (0018,0015) CS defined term, e.g. CHEST
    laterality: str  # R, L, B, U or empty
    description: str
    pixels: Pixels
    series: tuple[SeriesPlan, ...]

    @property
    def instances(self) -> int:
        return sum(series.instances for series in self.series)


@record(frozen=True, slots=True)
class Order:
    """One imaging order. Times are naive local times of the simulated department."""

    run_key: str
    number: int
    patient: Patient
    accession: str
    placer: str
    filler: str
    control_id: str
    study_uid: str
    visit_number: str
    patient_class: str  # I, O or E (PV1-2)
    location: str  # PV1-3 point of care
    referring: Provider
    ordering: Provider
    procedure: Code  # universal service identifier (OBR-4.1-3), requested procedure code
    protocol: Code  # OBR-4.4-6, scheduled protocol code
    procedure_id: str  # requested procedure ID (OBR-19)
    step_id: str  # scheduled procedure step ID (OBR-20)
    priority: str  # S, A, R (ORC-7.6)
    clinical_information: str  # OBR-13
    reason: str  # OBR-31
    organisation: str  # ORC-17
    ordered_at: datetime  # ORC-9, MSH-7
    scheduled_at: datetime  # ORC-7.4
    study: StudyPlan

    @property
    def patient_context(self) -> dict[str, Any]:
        """The patient as JSON values, for the job message."""
        patient = self.patient
        return {
            "patient_id": patient.patient_id,
            "issuer": patient.issuer,
            "issuer_uid": patient.issuer_uid,
            "name": _name_context(patient.name),
            "birth_date": patient.birth_date.isoformat() if patient.birth_date else None,
            "sex": patient.sex,
            "street": patient.street,
            "city": patient.city,
            "postal_code": patient.postal_code,
            "country": patient.country,
            "phone": patient.phone,
            "allergies": patient.allergies,
            "weight_kg": patient.weight_kg,
            "height_m": patient.height_m,
        }

    @property
    def order_context(self) -> dict[str, Any]:
        """The order without its patient as JSON values, for the job message."""
        return {
            "run_key": self.run_key,
            "number": self.number,
            "accession": self.accession,
            "placer": self.placer,
            "filler": self.filler,
            "control_id": self.control_id,
            "study_uid": self.study_uid,
            "visit_number": self.visit_number,
            "patient_class": self.patient_class,
            "location": self.location,
            "referring": {"id": self.referring.id, "name": _name_context(self.referring.name)},
            "ordering": {"id": self.ordering.id, "name": _name_context(self.ordering.name)},
            "procedure": _code_context(self.procedure),
            "protocol": _code_context(self.protocol),
            "procedure_id": self.procedure_id,
            "step_id": self.step_id,
            "priority": self.priority,
            "clinical_information": self.clinical_information,
            "reason": self.reason,
            "organisation": self.organisation,
            "ordered_at": self.ordered_at.isoformat(),
            "scheduled_at": self.scheduled_at.isoformat(),
            "study": _study_context(self.study),
        }

    @classmethod
    def from_context(cls, patient: dict[str, Any], order: dict[str, Any]) -> Order:
        """The order a job message carries; the inverse of the two contexts.

        Raises:
            KeyError, TypeError, ValueError: the contexts are not what Yeeter publishes.
        """
        if unknown := set(order) - _KEYS:
            raise ValueError(f"more than an order has: {', '.join(map(str, unknown))}")
        return cls(  # each by its name: many keywords that come from a dictionary take several times as long
            run_key=order["run_key"],
            number=order["number"],
            patient=_patient(patient),
            accession=order["accession"],
            placer=order["placer"],
            filler=order["filler"],
            control_id=order["control_id"],
            study_uid=order["study_uid"],
            visit_number=order["visit_number"],
            patient_class=order["patient_class"],
            location=order["location"],
            referring=_provider(order["referring"]),
            ordering=_provider(order["ordering"]),
            procedure=Code(**order["procedure"]),
            protocol=Code(**order["protocol"]),
            procedure_id=order["procedure_id"],
            step_id=order["step_id"],
            priority=order["priority"],
            clinical_information=order["clinical_information"],
            reason=order["reason"],
            organisation=order["organisation"],
            ordered_at=datetime.fromisoformat(order["ordered_at"]),
            scheduled_at=datetime.fromisoformat(order["scheduled_at"]),
            study=_study(order["study"]),
        )


_KEYS = frozenset(Order.__slots__) - {"patient"}  # of an order's context


def _provider(context: dict[str, Any]) -> Provider:
    return Provider(context["id"], PersonName(**context["name"]))


def _study(context: dict[str, Any]) -> StudyPlan:
    series = tuple([SeriesPlan(**each) for each in context["series"]])
    return StudyPlan(**context | {"series": series})


def _patient(context: dict[str, Any]) -> Patient:
    values = dict(context)
    values["name"] = PersonName(**values["name"])
    values["birth_date"] = date.fromisoformat(values["birth_date"]) if values["birth_date"] else None
    return Patient(**values)


def _name_context(name: PersonName) -> dict[str, Any]:
    return {
        "family": name.family,
        "given": name.given,
        "middle": name.middle,
        "suffix": name.suffix,
        "prefix": name.prefix,
    }


def _code_context(code: Code) -> dict[str, Any]:
    return {"value": code.value, "meaning": code.meaning, "scheme": code.scheme}


def _study_context(study: StudyPlan) -> dict[str, Any]:
    return {
        "modality": study.modality,
        "body_part": study.body_part,
        "laterality": study.laterality,
        "description": study.description,
        "pixels": study.pixels,
        "series": [{"description": series.description, "instances": series.instances} for series in study.series],
    }
