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
from datetime import date, datetime

from app.domain.order import Order
from app.domain.template import Hl7
from app.hl7.escaping import Delimiters
from app.hl7.person_name import to_xcn, to_xpn

OF_SENDER: dict[str, Callable[[Hl7], str]] = {
    "sending_application": lambda hl7: hl7.sending_application,
    "sending_facility": lambda hl7: hl7.sending_facility,
    "receiving_application": lambda hl7: hl7.receiving_application,
    "receiving_facility": lambda hl7: hl7.receiving_facility,
    "processing_id": lambda hl7: hl7.processing_id,
}


def _time(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%S}"


def _date(day: date | None) -> str:
    return f"{day:%Y%m%d}" if day else ""


def _number(value: float | None) -> str:
    return "" if value is None else str(value)


OF_ORDER: dict[str, Callable[[Order], str]] = {
    "message_time": lambda order: _time(order.ordered_at),
    "control_id": lambda order: order.control_id,
    "patient_id": lambda order: order.patient.patient_id,
    "issuer": lambda order: order.patient.issuer,
    "issuer_uid": lambda order: order.patient.issuer_uid,
    "family_name": lambda order: order.patient.name.family,
    "given_name": lambda order: order.patient.name.given,
    "middle_name": lambda order: order.patient.name.middle,
    "suffix": lambda order: order.patient.name.suffix,
    "prefix": lambda order: order.patient.name.prefix,
    "birth_date": lambda order: _date(order.patient.birth_date),
    "sex": lambda order: order.patient.sex,
    "street": lambda order: order.patient.street,
    "city": lambda order: order.patient.city,
    "postal_code": lambda order: order.patient.postal_code,
    "country": lambda order: order.patient.country,
    "phone": lambda order: order.patient.phone,
    "allergies": lambda order: order.patient.allergies,
    "weight_kg": lambda order: _number(order.patient.weight_kg),
    "height_m": lambda order: _number(order.patient.height_m),
    "visit_number": lambda order: order.visit_number,
    "patient_class": lambda order: order.patient_class,
    "location": lambda order: order.location,
    "accession": lambda order: order.accession,
    "placer": lambda order: order.placer,
    "filler": lambda order: order.filler,
    "study_uid": lambda order: order.study_uid,
    "priority": lambda order: order.priority,
    "organisation": lambda order: order.organisation,
    "clinical_information": lambda order: order.clinical_information,
    "reason": lambda order: order.reason,
    "ordered_time": lambda order: _time(order.ordered_at),
    "scheduled_time": lambda order: _time(order.scheduled_at),
    "procedure_code": lambda order: order.procedure.value,
    "procedure_name": lambda order: order.procedure.meaning,
    "procedure_scheme": lambda order: order.procedure.scheme,
    "protocol_code": lambda order: order.protocol.value,
    "protocol_name": lambda order: order.protocol.meaning,
    "protocol_scheme": lambda order: order.protocol.scheme,
    "procedure_id": lambda order: order.procedure_id,
    "step_id": lambda order: order.step_id,
    "modality": lambda order: order.study.modality,
    "body_part": lambda order: order.study.body_part,
    "laterality": lambda order: order.study.laterality,
    "study_description": lambda order: order.study.description,
}

WHOLE_FIELDS: dict[str, Callable[[Order, Delimiters], str]] = {
    "patient_name": lambda order, delimiters: to_xpn(order.patient.name, delimiters),
    "referring": lambda order, delimiters: to_xcn(order.referring, delimiters),
    "ordering": lambda order, delimiters: to_xcn(order.ordering, delimiters),
    "procedure": lambda order, delimiters: delimiters.components(
        order.procedure.value, order.procedure.meaning, order.procedure.scheme
    ),
    "quantity_timing": lambda order, delimiters: delimiters.components(
        "1", "", "", _time(order.scheduled_at), "", order.priority
    ),
}

NAMES = frozenset((*OF_SENDER, *OF_ORDER, *WHOLE_FIELDS))
