"""Whose an instance is: its data set is read as far as (0020,000D), well before the pixels.

A data set as almost all are is read here: explicit VR, elements of defined length in ascending order, a usual character
set and ASCII where it matters. Any other, and any that is damaged, is read by pydicom, with ten times the effort.

    group[2] number[2] VR[2] length[2]           value      most VRs (PS3.5 section 7.1.2)
    group[2] number[2] VR[2] 0000 length[4]      value      the VRs of ``_LONG``
"""

from __future__ import annotations

from io import BytesIO
from struct import Struct
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from app.dicom.network.pdu import Buffer
from app.receivers.dicom.ledger import Patient, Study

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_ACCESSION_NUMBER: Final = 0x00080050
_PATIENT_NAME: Final = 0x00100010
_PATIENT_ID: Final = 0x00100020
_PATIENT_BIRTH_DATE: Final = 0x00100030
_PATIENT_SEX: Final = 0x00100040
_STUDY_INSTANCE_UID: Final = 0x0020000D

_WANTED: Final = frozenset(
    (_ACCESSION_NUMBER, _PATIENT_NAME, _PATIENT_ID, _PATIENT_BIRTH_DATE, _PATIENT_SEX, _STUDY_INSTANCE_UID)
)
_USUAL_CHARACTER_SETS: Final = frozenset((b"", b"ISO_IR 6 ", b"ISO_IR 100", b"ISO_IR 192"))

_ELEMENT = Struct("<HH2sH")
_LONG_LENGTH = Struct("<I")
_LONG: Final = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT: Final = frozenset(
    (
        *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO"),
        *(b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
    )
)
_UNDEFINED: Final = 0xFFFFFFFF


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
    texts: dict[int, str] = {}
    position, before, size = 0, -1, len(data)
    while position < size:
        if position + _ELEMENT.size > size:
            return None
        group, number, vr, length = _ELEMENT.unpack_from(data, position)
        tag = group << 16 | number
        position += _ELEMENT.size
        if vr not in _SHORT:
            if vr not in _LONG or position + _LONG_LENGTH.size > size:
                return None
            (length,) = _LONG_LENGTH.unpack_from(data, position)
            position += _LONG_LENGTH.size
        if tag > _STUDY_INSTANCE_UID:
            break
        start, position = position, position + length
        if tag <= before or position > size or length == _UNDEFINED:
            return None
        before = tag
        if tag in _WANTED:
            value = bytes(data[start:position])
            if not _is_plain(value):
                return None
            texts[tag] = _stripped(value)
        elif tag == _SPECIFIC_CHARACTER_SET and bytes(data[start:position]) not in _USUAL_CHARACTER_SETS:
            return None
    return texts


def read(data: Buffer, implicit_vr: bool) -> dict[int, str]:
    """The same by pydicom, of any data set."""
    ds = read_dataset(BytesIO(data), implicit_vr, is_little_endian=True, stop_when=_after_study_instance_uid)
    return {tag: _text(ds, tag) for tag in _WANTED}


def _after_study_instance_uid(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _STUDY_INSTANCE_UID


def _text(ds: Dataset, tag: int) -> str:
    if tag not in ds:
        return ""
    raw = ds.get_item(tag)
    if isinstance(raw.value, bytes) and _is_plain(raw.value):
        return _stripped(raw.value)
    return str(ds[tag].value or "").strip(" \0")


def _is_plain(value: bytes) -> bool:
    """Whether it is ASCII whatever the character set: no escape sequences (PS3.5 section 6.1.2.5)."""
    return value.isascii() and b"\x1b" not in value


def _stripped(value: bytes) -> str:
    return value.decode("ascii").strip(" \0")
