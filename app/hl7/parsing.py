"""Reading messages as a receiver does: tolerant of line ends, delimiters and character sets; only what is needed."""

from __future__ import annotations

from typing import NamedTuple

from app.hl7.character_set import ASCII, LATIN_1, UTF_8, codec_of
from app.hl7.escaping import Delimiters

_BEFORE_MESSAGE = b"\x0b\r\n\t "
_PLAIN_CODECS = {name.encode(): codec_of(name) for name in (ASCII, LATIN_1, UTF_8)}


class ParsedMessage(NamedTuple):
    """What a ledger keeps of an order message; a field that is not there is empty. Text is unescaped."""

    control_id: str  # MSH-10
    message_type: str  # MSH-9, e.g. ORM^O01
    sending_application: str  # MSH-3.1
    patient_id: str  # PID-3.1
    patient_name: str  # PID-5, first name only, components joined by ^ without trailing ones
    accession: str  # OBR-18, or OBR-3.1 where that is empty
    message_time: str  # MSH-7 as written


class Segments:
    """A message split into its segments and fields, all of them text."""

    def __init__(self, message: bytes) -> None:
        """Decode by MSH-18 and split.

        Raises:
            ValueError: there is no MSH segment.
        """
        message = message.lstrip(_BEFORE_MESSAGE)
        header = message.replace(b"\n", b"\r").split(b"\r", 1)[0].decode("latin-1")
        self.delimiters = Delimiters.declared_by(header)
        fields = header.split(self.delimiters.field)
        declared = fields[17].split(self.delimiters.repetition)[0] if len(fields) > 17 else ""
        try:
            self.codec = codec_of(declared)
        except LookupError:
            self.codec = "latin-1"
        text = message.decode(self.codec, "replace").replace("\n", "\r")
        self._lines = [line for line in text.split("\r") if line]
        self._first: dict[str, list[str]] = {}  # by name, the fields of those segments that were asked for

    def names(self) -> list[str]:
        return [line.split(self.delimiters.field, 1)[0] for line in self._lines]

    def line(self, segment: str) -> str:
        """The first segment of that name as it stands in the message."""
        return next(line for line in self._lines if self._is(segment, line))

    def every(self, segment: str) -> list[list[str]]:
        """The fields of every segment of that name, still escaped: ``[n]`` is field n (n + 1 in MSH)."""
        return [line.split(self.delimiters.field) for line in self._lines if self._is(segment, line)]

    def raw(self, segment: str, field: int) -> str:
        """A field of the first segment of that name, still escaped; empty when it is not there."""
        fields = self._first.get(segment)
        if fields is None:
            line = next((line for line in self._lines if self._is(segment, line)), "")
            fields = self._first[segment] = line.split(self.delimiters.field)
        position = field - 1 if segment == "MSH" else field  # MSH-1 is the separator itself
        return fields[position] if position < len(fields) else ""

    def _is(self, segment: str, line: str) -> bool:
        return line.startswith(segment) and line[len(segment) : len(segment) + 1] in ("", self.delimiters.field)

    def components(self, segment: str, field: int) -> list[str]:
        """The components of a field's first repetition, unescaped; at least one."""
        return self.parts(self.raw(segment, field))

    def parts(self, field: str) -> list[str]:
        """The components of the first repetition of a field as it stands, unescaped; at least one."""
        parts = field.split(self.delimiters.repetition, 1)[0].split(self.delimiters.component)
        if self.delimiters.escape_character not in field:
            return parts
        return [self.delimiters.unescape(part, self.codec) for part in parts]

    def value(self, segment: str, field: int) -> str:
        """The first component of a field's first repetition, unescaped."""
        return self.components(segment, field)[0]


def parse_message(message: bytes) -> ParsedMessage:
    """What a ledger keeps of a message.

    Raises:
        ValueError: there is no MSH segment, so this is no HL7 message.
    """
    return _parse_plain(message) or _parse(message)


def _parse(message: bytes) -> ParsedMessage:
    segments = Segments(message)
    return ParsedMessage(
        control_id=segments.value("MSH", 10),
        message_type="^".join(segments.components("MSH", 9)),
        sending_application=segments.value("MSH", 3),
        patient_id=segments.value("PID", 3),
        patient_name="^".join(segments.components("PID", 5)).rstrip("^"),
        accession=segments.value("OBR", 18) or segments.value("OBR", 3),
        message_time=segments.value("MSH", 7),
    )


def _parse_plain(message: bytes) -> ParsedMessage | None:
    """What :func:`_parse` makes of an order as senders write it almost always; None for any other message.

    That is one with the usual delimiters and line ends, a character set in which every byte below 0x80 is ASCII, a PID
    and an OBR segment, and neither escape sequences nor repetitions in the fields that are kept.
    """
    if not message.startswith(b"MSH|^~\\&|") or b"\n" in message:
        return None
    msh = message.partition(b"\r")[0].split(b"|", 18)  # MSH-n is [n - 1]
    pid = message.partition(b"\rPID")[2].partition(b"\r")[0].split(b"|", 6)
    obr = message.partition(b"\rOBR")[2].partition(b"\r")[0].split(b"|", 19)
    codec = _PLAIN_CODECS.get(msh[17] if len(msh) > 17 else b"")
    if codec is None or len(msh) < 10 or len(pid) < 6 or len(obr) < 19 or pid[0] or obr[0]:
        return None
    kept = b"|".join((msh[9], msh[8], msh[2], pid[3], pid[5], obr[18], obr[3], msh[6]))
    if b"\\" in kept or b"~" in kept:
        return None
    control_id, kind, sender, patient, name, accession, filler, time = kept.decode(codec, "replace").split("|")
    return ParsedMessage(
        control_id=control_id.partition("^")[0],
        message_type=kind,
        sending_application=sender.partition("^")[0],
        patient_id=patient.partition("^")[0],
        patient_name=name.rstrip("^"),
        accession=accession.partition("^")[0] or filler.partition("^")[0],
        message_time=time.partition("^")[0],
    )
