"""Whose an instance is: its data set is read as far as (0020,000D), well before the pixels.

A data set as almost all are is read here: explicit VR, elements of defined length, and a character set without
escape sequences. Any other, and any that is damaged, is read by pydicom, with ten times the effort.

    group[2] number[2] VR[2] length[2]           value      most VRs (PS3.5 section 7.1.2)
    group[2] number[2] VR[2] 0000 length[4]      value      the VRs of ``LONG_LENGTH``
"""

from __future__ import annotations

import struct
from io import BytesIO
from struct import Struct
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from app.dicom.network.pdu import Buffer
from app.dicom.vrs import LONG_LENGTH, SHORT_LENGTH
from app.receivers.dicom.ledger import Patient, Study

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_ACCESSION_NUMBER: Final = 0x00080050
_PATIENT_NAME: Final = 0x00100010
_PATIENT_ID: Final = 0x00100020
_PATIENT_BIRTH_DATE: Final = 0x00100030
_PATIENT_SEX: Final = 0x00100040
_STUDY_INSTANCE_UID: Final = 0x0020000D
_LAST_GROUP: Final = _STUDY_INSTANCE_UID >> 16

# What is read, with the VRs in which it may be other than ASCII.
WANTED: Final = {
    _ACCESSION_NUMBER: b"SH",
    _PATIENT_NAME: b"PN",
    _PATIENT_ID: b"LO",
    _PATIENT_BIRTH_DATE: None,
    _PATIENT_SEX: None,
    _STUDY_INSTANCE_UID: None,
}
_SWAPPED: Final = {tag >> 16 | (tag & 0xFFFF) << 16: tag for tag in (*WANTED, _SPECIFIC_CHARACTER_SET)}  # as one number
_CODECS: Final = {b"": "ascii", b"ISO_IR 6 ": "ascii", b"ISO_IR 100": "latin-1", b"ISO_IR 192": "utf-8"}

_ELEMENT = Struct("<I2sH")  # the tag's halves are swapped
_LONG_LENGTH = Struct("<I")


def read_study(data: Buffer, implicit_vr: bool) -> Study:
    """Whose this encoded little-endian data set is. Raises whatever pydicom raises on bytes that are no data set."""
    texts = None if implicit_vr else scan(data)
    if texts is None:
        texts = read(data, implicit_vr)
    patient = Patient(
        id=texts.get(_PATIENT_ID, ""),
        name=texts.get(_PATIENT_NAME, "").rstrip("^"),
        birth_date=texts.get(_PATIENT_BIRTH_DATE, ""),
        sex=texts.get(_PATIENT_SEX, ""),
    )
    return Study(texts.get(_STUDY_INSTANCE_UID, ""), texts.get(_ACCESSION_NUMBER, ""), patient)


def scan(data: Buffer) -> dict[int, str] | None:
    """The values that are wanted, by tag, of a data set in explicit VR; None where it is not as almost all are."""
    found: dict[int, tuple[bytes, bytes]] = {}  # VR and value
    position, size = 0, len(data)
    try:
        while position < size:
            swapped, vr, length = _ELEMENT.unpack_from(data, position)
            position += 8
            if vr not in SHORT_LENGTH:
                if vr not in LONG_LENGTH:
                    return None
                (length,) = _LONG_LENGTH.unpack_from(data, position)
                position += 4
            if swapped & 0xFFFF >= _LAST_GROUP and _is_beyond(swapped):
                break
            if swapped in _SWAPPED:
                found[_SWAPPED[swapped]] = vr, bytes(data[position : position + length])
            position += length
        return _texts(found) if position <= size else None  # a value is cut off, or its length undefined
    except (struct.error, ValueError):  # an element is cut off, or text is unusual
        return None


def _is_beyond(swapped: int) -> bool:
    """Whether a tag comes after the last one that is wanted."""
    return (swapped & 0xFFFF) << 16 | swapped >> 16 > _STUDY_INSTANCE_UID


def _texts(found: dict[int, tuple[bytes, bytes]]) -> dict[int, str]:
    """Raises ValueError where one is unusual."""
    codec = _codec(*found.pop(_SPECIFIC_CHARACTER_SET, (b"CS", b"")))
    return {tag: _decoded(value, codec, vr == WANTED[tag]) for tag, (vr, value) in found.items()}


def _codec(vr: bytes, value: bytes) -> str:
    """Of a Specific Character Set. Raises ValueError where it is an unusual one."""
    if vr != b"CS" or value not in _CODECS:
        raise ValueError(value)
    return _CODECS[value]


def _decoded(value: bytes, codec: str, is_text: bool) -> str:
    """Raises ValueError where this is not plain text of a single value."""
    if b"\x1b" in value:
        raise ValueError(value)
    if not value.isascii():
        if not is_text or b"\\" in value or b"=" in value:
            raise ValueError(value)
        return value.decode(codec).strip(" \0")
    return value.decode("ascii").strip(" \0")


def read(data: Buffer, implicit_vr: bool) -> dict[int, str]:
    """The same by pydicom, of any data set."""
    ds = read_dataset(BytesIO(data), implicit_vr, is_little_endian=True, stop_when=_after_study_instance_uid)
    return {tag: _text(ds, tag) for tag in WANTED}


def _after_study_instance_uid(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _STUDY_INSTANCE_UID


def _text(ds: Dataset, tag: int) -> str:
    if tag not in ds:
        return ""
    raw = ds.get_item(tag)
    if isinstance(raw.value, bytes) and raw.value.isascii() and b"\x1b" not in raw.value:
        return raw.value.decode("ascii").strip(" \0")
    return str(ds[tag].value or "").strip(" \0")
