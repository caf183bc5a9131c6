"""Checks one rendered order message, once a template: by hl7apy's tables where they hold, and by our own.

hl7apy validates MSH, PID, PV1, ORC and OBR as single segments. No ORM^O01 validates whole in it (it asks for an RQD
that imaging orders have not), it doesn't know ZDS, and it checks no lengths: order, cardinality, lengths and the values
that DICOM shares are checked by the tables below. A length is the shorter of HL7 2.3.1's and DICOM's (SH 16, LO 64).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from app.domain.errors import Problem
from app.hl7.character_set import codec_of, narrowest
from app.hl7.parsing import Segments

SEGMENTS = ("MSH", "PID", "PV1", "ORC", "OBR", "ZDS")  # in this order, each once; others may stand between
_KNOWN_TO_HL7APY = ("MSH", "PID", "PV1", "ORC", "OBR")

_TIME = r"\d{8}(\d{4}(\d{2})?)?"
_LEAVE_EMPTY = "leave it empty, and it is filled in as needed"
_UID = r"[0-2](\.(0|[1-9]\d*))+"


class _Rule(NamedTuple):
    segment: str
    field: int
    component: int  # 0: the whole field
    longest: int
    required: bool = False
    pattern: str = ""

    @property
    def name(self) -> str:
        return f"{self.segment}-{self.field}" + (f".{self.component}" if self.component else "")


_RULES = (
    _Rule("MSH", 9, 0, 15, required=True, pattern=r"ORM\^O01(\^ORM_O01)?"),
    _Rule("MSH", 10, 1, 20, required=True),
    _Rule("MSH", 11, 1, 1, required=True, pattern="[TPD]"),
    _Rule("MSH", 12, 1, 8, required=True),
    _Rule("MSH", 15, 0, 0),  # valued, these two ask for enhanced acknowledgement
    _Rule("MSH", 16, 0, 0),
    _Rule("PID", 3, 1, 64, required=True),
    _Rule("PID", 5, 0, 48, required=True),
    _Rule("PID", 7, 1, 26, pattern=_TIME),
    _Rule("PID", 8, 1, 1, pattern="[MFO]"),
    _Rule("PV1", 2, 1, 1, required=True, pattern="[A-Z]"),
    _Rule("PV1", 8, 0, 60),
    _Rule("PV1", 19, 1, 20),
    _Rule("ORC", 1, 1, 2, required=True, pattern="NW|XO|CA|DC|SC"),
    _Rule("ORC", 2, 0, 22, required=True),
    _Rule("ORC", 3, 0, 22),
    _Rule("ORC", 7, 4, 26, pattern=_TIME),
    _Rule("ORC", 7, 6, 1, pattern="[SAPCRT]"),
    _Rule("ORC", 9, 1, 26, pattern=_TIME),
    _Rule("ORC", 12, 0, 120),
    _Rule("OBR", 4, 1, 16, required=True),
    _Rule("OBR", 4, 2, 64),
    _Rule("OBR", 4, 4, 16),
    _Rule("OBR", 4, 5, 64),
    _Rule("OBR", 13, 1, 64),
    _Rule("OBR", 16, 0, 80),
    _Rule("OBR", 18, 1, 16),
    _Rule("OBR", 19, 1, 16),
    _Rule("OBR", 20, 1, 16),
    _Rule("OBR", 24, 1, 16, required=True, pattern="[A-Z]{2}"),
    _Rule("OBR", 27, 4, 26, pattern=_TIME),
    _Rule("OBR", 31, 2, 64),
    _Rule("OBR", 44, 1, 16),
    _Rule("OBR", 44, 2, 64),
    _Rule("ZDS", 1, 1, 64, required=True, pattern=_UID),
    _Rule("ZDS", 1, 4, 5, required=True, pattern="DICOM"),
)


def check_message(message: bytes) -> list[Problem]:
    """Everything wrong with a rendered order message; ``field`` names the place, such as OBR-18."""
    try:
        segments = Segments(message)
    except ValueError as error:
        return [Problem("MSH", str(error), r"begin with MSH|^~\&|")]
    problems = [*_framing_problems(message, segments), *_segment_problems(segments.names())]
    if problems:
        return problems
    problems = [*_field_problems(segments), *_shared_value_problems(segments)]
    told = {problem.field[:3] for problem in problems}  # hl7apy would only say it again
    return [*problems, *_hl7apy_problems(segments, [name for name in _KNOWN_TO_HL7APY if name not in told])]


def _framing_problems(message: bytes, segments: Segments) -> Iterator[Problem]:
    if not message.endswith(b"\r") or re.search(rb"[\x00-\x0c\x0e-\x1f]", message):
        yield Problem("", "a segment does not end with CR, or holds a control character", "escape it")
    try:
        codec_of(segments.value("MSH", 18))
    except LookupError:
        yield Problem("MSH-18", f"unknown character set {segments.value('MSH', 18)!r}", _LEAVE_EMPTY)
    if not segments.value("MSH", 18) and narrowest(message.decode("latin-1")):
        yield Problem("MSH-18", "the message is not ASCII, and declares no character set", _LEAVE_EMPTY)


def _segment_problems(names: list[str]) -> Iterator[Problem]:
    for name in SEGMENTS:
        if names.count(name) != 1:
            yield Problem(name, f"there are {names.count(name)} segments {name}", "an imaging order has one")
    ours = [name for name in names if name in SEGMENTS]
    if sorted(ours, key=SEGMENTS.index) != ours:
        yield Problem(" ".join(ours), "the segments are out of order", f"order them {' '.join(SEGMENTS)}")
    if "OBX" in names[: names.index("OBR") if "OBR" in names else 0]:
        yield Problem("OBX", "an observation stands before OBR", "move it behind OBR")


def _field_problems(segments: Segments) -> Iterator[Problem]:
    for rule in _RULES:
        components = segments.components(rule.segment, rule.field)
        position = rule.component - 1
        if rule.component:
            value = components[position] if position < len(components) else ""
        else:
            value = "^".join(components).rstrip("^")
        if not value and rule.required:
            yield Problem(rule.name, "it is empty", "an imaging order needs it")
        elif len(value) > rule.longest:
            yield Problem(rule.name, f"{len(value)} characters, where at most {rule.longest} fit", "shorten it")
        elif value and rule.pattern and not re.fullmatch(rule.pattern, value):
            yield Problem(rule.name, f"{value[:40]!r} is not a value it may have", "")


def _shared_value_problems(segments: Segments) -> Iterator[Problem]:
    for field in (2, 3):
        if segments.value("ORC", field) != segments.value("OBR", field):
            yield Problem(f"OBR-{field}", f"it differs from ORC-{field}", "both name the same order")
    if not (segments.value("OBR", 18) or segments.value("OBR", 3)):
        yield Problem("OBR-18", "there is no accession number", "put {accession} there")


def _hl7apy_problems(segments: Segments, names: list[str]) -> Iterator[Problem]:
    from hl7apy.consts import VALIDATION_LEVEL  # late: it is slow to import, and needed once a template
    from hl7apy.exceptions import HL7apyException
    from hl7apy.parser import parse_segment
    from hl7apy.validation import Validator

    delimiters = segments.delimiters
    characters = {
        "FIELD": delimiters.field,
        "COMPONENT": delimiters.component,
        "REPETITION": delimiters.repetition,
        "ESCAPE": delimiters.escape_character,
        "SUBCOMPONENT": delimiters.subcomponent,
    }
    version = segments.value("MSH", 12)
    for name in names:
        try:
            segment = parse_segment(segments.line(name), version, characters, VALIDATION_LEVEL.STRICT)
            Validator.validate(segment)
        except (HL7apyException, ValueError) as error:  # a value that its data type refuses is a ValueError
            yield Problem(name, str(error), f"see chapter 2 of HL7 {version}")
