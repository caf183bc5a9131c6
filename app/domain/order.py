"""What an imaging order says, apart from any wire format: the patient, the request, and the study to be made.

Both HL7 (``app.hl7``) and DICOM (``app.dicom``) are written from these values, so the two can't disagree. Values are
already within the shorter of the HL7 and DICOM lengths (SH 16, LO 64, PN 64 per component group).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Literal

Sex = Literal["M", "F", "O", ""]
Modality = Literal["CT", "MR", "CR", "DX"]
MODALITIES: tuple[Modality, ...] = ("CT", "MR", "CR", "DX")
Pixels = Literal["full", "tiny"]


@dataclass(frozen=True, slots=True)
class PersonName:
    """A name in its parts; HL7's XPN and DICOM's PN order them differently (suffix and prefix are swapped)."""

    family: str
    given: str = ""
    middle: str = ""
    suffix: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """A physician: HL7's XCN is the ID and then the name; DICOM keeps the name only."""

    id: str
    name: PersonName


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: code value (at most 16), meaning (at most 64), coding scheme designator (at most 16)."""

    value: str
    meaning: str
    scheme: str


@dataclass(frozen=True, slots=True)
class SeriesPlan:
    description: str
    instances: int


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
        return dict(_to_json(self.patient))

    @property
    def order_context(self) -> dict[str, Any]:
        """The order without its patient as JSON values, for the job message."""
        return dict(_to_json(self, leave_out="patient"))

    @classmethod
    def from_context(cls, patient: dict[str, Any], order: dict[str, Any]) -> Order:
        """The order a job message carries; the inverse of the two contexts.

        Raises:
            KeyError, TypeError, ValueError: the contexts are not what Yeeter publishes.
        """
        values = dict(order)
        values["patient"] = _patient(patient)
        for role in ("referring", "ordering"):
            values[role] = Provider(values[role]["id"], PersonName(**values[role]["name"]))
        for code in ("procedure", "protocol"):
            values[code] = Code(**values[code])
        for moment in ("ordered_at", "scheduled_at"):
            values[moment] = datetime.fromisoformat(values[moment])
        study = dict(values["study"])
        study["series"] = tuple(SeriesPlan(**series) for series in study["series"])
        values["study"] = StudyPlan(**study)
        return cls(**values)


def _patient(context: dict[str, Any]) -> Patient:
    values = dict(context)
    values["name"] = PersonName(**values["name"])
    values["birth_date"] = date.fromisoformat(values["birth_date"]) if values["birth_date"] else None
    return Patient(**values)


def _to_json(value: Any, leave_out: str = "") -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: _to_json(getattr(value, field.name)) for field in fields(value) if field.name != leave_out}
    return value
