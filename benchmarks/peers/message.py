"""ORM^O01 2.3.1 of an order, built with hl7apy and with python-hl7: MSH PID PV1 ORC OBR ZDS."""

from __future__ import annotations

from datetime import datetime

import hl7
from hl7apy.core import Message, Segment

from app.domain.order import Code, Order, PersonName, Provider

CHARACTER_SET = "UNICODE UTF-8"  # MSH-18

Fields = dict[int, str]  # encoded, by the field's number

_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "~": "\\R\\", "&": "\\T\\"})


def with_hl7apy(order: Order) -> bytes:
    """The message by hl7apy's classes for its structure and segments, tolerant, as it is by default."""
    message = Message("ORM_O01", version="2.3.1")
    segments = _segments_by_hl7apy(message)
    for name, fields in segments_of(order).items():
        for number, text in fields.items():
            if text:
                setattr(segments[name], f"{name.lower()}_{number}", text)
    return (str(message.to_er7()) + "\r").encode("utf-8")


def _segments_by_hl7apy(message: Message) -> dict[str, Segment]:
    """The message's segments in their groups (HL7 2.3.1 section 4.2.2); they are encoded in the order they are made."""
    patient = message.add_group("ORM_O01_PATIENT")
    segments = {"MSH": message.msh, "PID": patient.add_segment("PID")}
    segments["PV1"] = patient.add_group("ORM_O01_PATIENT_VISIT").add_segment("PV1")
    order = message.add_group("ORM_O01_ORDER")
    segments["ORC"] = order.add_segment("ORC")
    segments["OBR"] = order.add_group("ORM_O01_ORDER_DETAIL").add_group("ORM_O01_CHOICE").add_segment("OBR")
    segments["ZDS"] = Segment("ZDS", version="2.3.1")
    message.add(segments["ZDS"])
    return segments


def with_python_hl7(order: Order) -> bytes:
    """The message by python-hl7's containers."""
    segments = []
    for name, fields in segments_of(order).items():
        head = ["MSH", "|", "^~\\&"] if name == "MSH" else [name]  # MSH-1 and MSH-2 are the delimiters themselves
        texts = [fields.get(number, "") for number in range(len(head), max(fields) + 1)]
        segments.append(hl7.Segment("|", [hl7.Field("~", [text]) for text in [*head, *texts]]))
    return str(hl7.Message("\r", segments)).encode("utf-8")


def segments_of(order: Order) -> dict[str, Fields]:
    """What each segment says, in their order."""
    placer, filler = (_components(number, order.patient.issuer) for number in (order.placer, order.filler))
    timing = _components("1", "", "", _time(order.scheduled_at), "", order.priority)
    ordering = _provider(order.ordering)
    return {
        "MSH": _header(order),
        "PID": _patient(order),
        "PV1": {
            1: "1",
            2: order.patient_class,
            3: _text(order.location),
            8: _provider(order.referring),
            19: _text(order.visit_number),
        },
        "ORC": {
            1: "NW",
            2: placer,
            3: filler,
            5: "SC",
            7: timing,
            9: _time(order.ordered_at),
            12: ordering,
            17: _components("", order.organisation),
        },
        "OBR": {
            1: "1",
            2: placer,
            3: filler,
            4: f"{_code(order.procedure)}^{_code(order.protocol)}",
            13: _text(order.clinical_information),
            16: ordering,
            18: _text(order.accession),
            19: _text(order.procedure_id),
            20: _text(order.step_id),
            24: order.study.modality,
            27: timing,
            31: _components("", order.reason),
            44: _code(order.procedure),
        },
        "ZDS": {1: _components(order.study_uid, "", "Application", "DICOM")},
    }


def _header(order: Order) -> Fields:
    return {
        3: "YEETER",
        4: "SIMULATION",
        5: "RIS",
        6: "HOSPITAL",
        7: _time(order.ordered_at),
        9: "ORM^O01",
        10: order.control_id,
        11: "T",
        12: "2.3.1",
        18: CHARACTER_SET,
    }


def _patient(order: Order) -> Fields:
    patient = order.patient
    authority = f"{_text(patient.issuer)}&{_text(patient.issuer_uid)}&ISO"
    return {
        1: "1",
        3: f"{_text(patient.patient_id)}^^^{authority}^PI",
        5: _components(*_parts(patient.name)),
        7: f"{patient.birth_date:%Y%m%d}" if patient.birth_date else "",
        8: patient.sex,
        11: _components(patient.street, "", patient.city, "", patient.postal_code, patient.country),
        13: _text(patient.phone),
    }


def _text(value: str) -> str:
    return value.translate(_ESCAPES)


def _components(*values: str) -> str:
    return "^".join(map(_text, values)).rstrip("^")


def _code(code: Code) -> str:
    return _components(code.value, code.meaning, code.scheme)


def _provider(provider: Provider) -> str:
    return _components(provider.id, *_parts(provider.name))


def _parts(name: PersonName) -> tuple[str, ...]:
    return name.family, name.given, name.middle, name.suffix, name.prefix


def _time(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%S}"
