"""Acknowledgements in original mode: one application ACK a message (HL7 v2 chapter 2, section 2.9)."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from app.hl7.escaping import Delimiters
from app.hl7.parsing import Segments

AckCode = Literal["AA", "AE", "AR", "CA", "CE", "CR"]  # table 0008
CODES = frozenset(("AA", "AE", "AR", "CA", "CE", "CR"))
_ACCEPTED = ("AA", "CA")
_MAX_TEXT = 80  # MSA-3
_PLAIN = bytes(code for code in (0x0D, *range(0x20, 0x7F)) if code not in b"~\\")
_TEXT = r"[ -\[\]_-{}]*"  # neither escaped nor repeated nor in components
_PLAIN_ANSWER = re.compile(
    rf"MSH\|\^~\\&\|({_TEXT})(?:[|^][ -~]*)?\rMSA\|([AC][AER])\|({_TEXT})(?:\|({_TEXT})(?:\|[ -~]*)?)?\r?"
)
_COMPONENTS = frozenset(b"^&")
_A_CONTROL_ID = b"#CONTROL-ID#"
_LONGEST_KEPT = 512  # bytes of a header; a longer one is a hostile peer's
_NO_FRAMING = {0x0B: None, 0x1C: None}  # a hostile message's own fields must not end the answer's frame


class Acknowledgement(NamedTuple):
    """An acknowledgement as it was received, text unescaped."""

    code: str  # MSA-1
    control_id: str  # MSA-2: MSH-10 of the message it answers
    text: str  # MSA-3, and what ERR segments say
    sender: str  # MSH-3.1


def build_ack(
    message: bytes,
    code: AckCode,
    text: str = "",
    *,
    sending_application: str | None = None,
    control_id: str | None = None,
    sent_at: datetime | None = None,
) -> bytes:
    """The acknowledgement of a message, in its version, delimiters and character set.

    Sender and receiver are swapped (``sending_application`` replaces MSH-3); MSA-2 is the message's MSH-10 as it came.
    ``control_id`` is the ACK's own MSH-10; by default the message's with an A before it. From version 2.5 on, the text
    of a negative answer is also given as an ERR segment, where receivers of those versions look for it.

    Raises:
        ValueError: the message has no MSH segment, so there is nobody to answer.
    """
    received = Segments(message)
    delimiters = received.delimiters
    version = received.value("MSH", 12) or "2.3.1"
    trigger = received.components("MSH", 9)[1:2]
    structure = ["ACK"] if trigger and _at_least_2_5(version) else []
    own_id = f"A{received.value('MSH', 10)}"[:20] if control_id is None else control_id
    sender = received.raw("MSH", 5) if sending_application is None else delimiters.escape(sending_application)
    header = [
        "MSH",
        delimiters.encoding_characters,
        sender,
        received.raw("MSH", 6),
        received.raw("MSH", 3),
        received.raw("MSH", 4),
        f"{sent_at:%Y%m%d%H%M%S}" if sent_at else "",
        "",
        delimiters.components("ACK", *trigger, *structure),
        delimiters.escape(own_id),
        received.raw("MSH", 11),
        received.raw("MSH", 12) or version,
        *[""] * 5,
        received.raw("MSH", 18),
    ]
    answer = ["MSA", code, received.raw("MSH", 10), delimiters.escape(text[:_MAX_TEXT])]
    segments = [header, answer]
    if text and code not in _ACCEPTED and _at_least_2_5(version):
        segments.append(_error(delimiters, text))
    rendered = "".join(delimiters.field.join(fields).rstrip(delimiters.field) + "\r" for fields in segments)
    return rendered.translate(_NO_FRAMING).encode(received.codec, "replace")


def build_acceptance(header: bytes, sending_application: str, sent_at: datetime) -> bytes:
    """What :func:`build_ack` makes of AA without a text; most of it is kept from one message of a sender to the next.

    Args:
        header: the message's MSH segment.
        sent_at: naive local time.

    Raises:
        ValueError: it is no MSH segment.
    """
    fields = header.split(b"|", 10)
    control_id = fields[9] if len(fields) > 10 else b""
    if control_id and len(header) <= _LONGEST_KEPT and _is_plain(header) and not _COMPONENTS.intersection(control_id):
        sender, others = b"|".join(fields[2:6]), (fields[8], fields[10])
        pieces = _around_control_ids(sender, *others, sending_application, sent_at.replace(microsecond=0))
        if len(pieces) == 3:
            return b"".join((pieces[0], control_id[: 20 - 1], pieces[1], control_id, pieces[2]))
    return build_ack(header, "AA", sending_application=sending_application, sent_at=sent_at)


@lru_cache(maxsize=256)
def _around_control_ids(
    parties: bytes, message_type: bytes, others: bytes, sending_application: str, sent_at: datetime
) -> list[bytes]:
    """An acceptance, cut where the control ID stands: as its own after an A, and in MSA-2."""
    header = b"MSH|^~\\&|%b|||%b|%b|%b" % (parties, message_type, _A_CONTROL_ID, others)
    return build_ack(header, "AA", sending_application=sending_application, sent_at=sent_at).split(_A_CONTROL_ID)


def parse_ack(frame: bytes) -> Acknowledgement:
    """Read an acknowledgement, whatever delimiters and character set it declares.

    Raises:
        ValueError: it has no MSH or no MSA segment, or MSA-1 is no acknowledgement code; the text says which.
    """
    return _read_plain(frame) or _read(frame)


def _read(frame: bytes) -> Acknowledgement:
    segments = Segments(frame.strip(b"\x0b\x1c\r\n"))
    names = segments.names()
    if "MSA" not in names:
        raise ValueError("the answer has no MSA segment")
    code = segments.value("MSA", 1).strip()
    if code not in CODES:
        raise ValueError(f"MSA-1 is {code[:20]!r}, not an acknowledgement code")
    return Acknowledgement(
        code=code,
        control_id=segments.value("MSA", 2).strip(),
        text="; ".join(filter(None, (segments.value("MSA", 3), _error_text(segments) if "ERR" in names else ""))),
        sender=segments.value("MSH", 3),
    )


def _read_plain(frame: bytes) -> Acknowledgement | None:
    """What :func:`_read` makes of an answer as receivers write it almost always; None for any other.

    That is MSH and MSA only, in ASCII with the usual delimiters, and what is read holds neither escape sequences nor
    repetitions, and no components in MSA-2 and MSA-3.
    """
    plain = _PLAIN_ANSWER.fullmatch(frame.decode("latin-1"))
    if plain is None:
        return None
    sender, code, control_id, text = plain.groups("")
    return Acknowledgement(code, control_id.strip(), text, sender)


def _is_plain(message: bytes) -> bool:
    """ASCII with the usual delimiters, and no escape sequences, repetitions or control characters but CR."""
    return message.startswith(b"MSH|^~\\&|") and message.translate(None, _PLAIN) == b"~\\"


def _at_least_2_5(version: str) -> bool:
    return version[:3] >= "2.5"


def _error(delimiters: Delimiters, text: str) -> list[str]:
    code = delimiters.components("207", "Application internal error", "HL70357")
    return ["ERR", "", "", code, "E", "", "", "", delimiters.escape(text[:250])]  # ERR-8: user message


def _error_text(segments: Segments) -> str:
    """Location, code, severity and user message of the first ERR segment, for a person to read."""
    location = "-".join(filter(None, segments.components("ERR", 2)[:3]))
    code = " ".join(segments.components("ERR", 3)[:2]).strip()
    parts = (location, code, segments.value("ERR", 4), segments.value("ERR", 8))
    return " ".join(part for part in parts if part)
