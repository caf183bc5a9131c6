"""What a message may say of an order: the named placeholders of an ORM text.

    Message    message_time control_id processing_id
               sending_application sending_facility receiving_application receiving_facility
    Patient    patient_id issuer issuer_uid patient_name(XPN) family_name given_name middle_name suffix prefix
               birth_date sex street city postal_code country phone allergies weight_kg height_m
    Visit      visit_number patient_class location referring(XCN)
    Order      accession placer filler study_uid ordering(XCN) priority organisation clinical_information reason
               ordered_time scheduled_time quantity_timing(TQ)
    Procedure  procedure(CE) procedure_code procedure_name procedure_scheme procedure_id step_id
               protocol_code protocol_name protocol_scheme modality body_part laterality study_description

Values are escaped, times are YYYYMMDDHHMMSS, dates YYYYMMDD, what is not known is empty. A placeholder with a data type
in brackets stands for a whole field; any other for one component.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from app.domain.template import Hl7

OF_SENDER: Final[dict[str, Callable[[Hl7], str]]] = {
    "sending_application": lambda hl7: hl7.sending_application,
    "sending_facility": lambda hl7: hl7.sending_facility,
    "receiving_application": lambda hl7: hl7.receiving_application,
    "receiving_facility": lambda hl7: hl7.receiving_facility,
    "processing_id": lambda hl7: hl7.processing_id,
}


@dataclass(frozen=True, slots=True)
class Constant:
    """Text that is the same in every message, where others name an attribute of the order."""

    text: str = ""


def _name(path: str) -> tuple[str, ...]:
    """The components of XPN from the family name on, which those of XCN end with (chapter 2, section 2.8)."""
    return tuple(f"{path}.{part}" for part in ("family", "given", "middle", "suffix", "prefix"))


# What stands for an attribute of an order, or for several of them as the components of a field.
COMPONENTS: Final[dict[str, str]] = {
    "message_time": "ordered_at",
    "control_id": "control_id",
    "patient_id": "patient.patient_id",
    "issuer": "patient.issuer",
    "issuer_uid": "patient.issuer_uid",
    "family_name": "patient.name.family",
    "given_name": "patient.name.given",
    "middle_name": "patient.name.middle",
    "suffix": "patient.name.suffix",
    "prefix": "patient.name.prefix",
    "birth_date": "patient.birth_date",
    "sex": "patient.sex",
    "street": "patient.street",
    "city": "patient.city",
    "postal_code": "patient.postal_code",
    "country": "patient.country",
    "phone": "patient.phone",
    "allergies": "patient.allergies",
    "weight_kg": "patient.weight_kg",
    "height_m": "patient.height_m",
    "visit_number": "visit_number",
    "patient_class": "patient_class",
    "location": "location",
    "accession": "accession",
    "placer": "placer",
    "filler": "filler",
    "study_uid": "study_uid",
    "priority": "priority",
    "organisation": "organisation",
    "clinical_information": "clinical_information",
    "reason": "reason",
    "ordered_time": "ordered_at",
    "scheduled_time": "scheduled_at",
    "procedure_code": "procedure.value",
    "procedure_name": "procedure.meaning",
    "procedure_scheme": "procedure.scheme",
    "protocol_code": "protocol.value",
    "protocol_name": "protocol.meaning",
    "protocol_scheme": "protocol.scheme",
    "procedure_id": "procedure_id",
    "step_id": "step_id",
    "modality": "study.modality",
    "body_part": "study.body_part",
    "laterality": "study.laterality",
    "study_description": "study.description",
}
WHOLE_FIELDS: Final[dict[str, tuple[str | Constant, ...]]] = {
    "patient_name": _name("patient.name"),
    "referring": ("referring.id", *_name("referring.name")),
    "ordering": ("ordering.id", *_name("ordering.name")),
    "procedure": ("procedure.value", "procedure.meaning", "procedure.scheme"),
    "quantity_timing": (Constant("1"), Constant(), Constant(), "scheduled_at", Constant(), "priority"),
}


def _time(moment: datetime) -> str:
    day = (moment.year * 100 + moment.month) * 100 + moment.day  # strftime takes four times as long
    return str(((day * 100 + moment.hour) * 100 + moment.minute) * 100 + moment.second)


def _date(day: date | None) -> str:
    return str((day.year * 100 + day.month) * 100 + day.day) if day else ""


def _number(value: float | None) -> str:
    return "" if value is None else str(value)


# How attributes that are no text are written.
FORMATS: Final[dict[str, Callable[[Any], str]]] = {
    "ordered_at": _time,
    "scheduled_at": _time,
    "patient.birth_date": _date,
    "patient.weight_kg": _number,
    "patient.height_m": _number,
}

NAMES = frozenset((*OF_SENDER, *COMPONENTS, *WHOLE_FIELDS))
