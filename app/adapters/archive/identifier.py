"""What is asked of an archive and what it answers: identifiers of C-FIND at study level (PS3.4 annex C.4.1).

An answer as almost all are is read here: elements of defined length, the VRs of the standard, printable text of one
value in a usual character set. Any other, and any that is damaged, is read by pydicom, with ten times the effort.

    group[2] number[2] length[4]                 value      implicit VR (PS3.5 section 7.1.3)
    group[2] number[2] VR[2] length[2]           value      explicit VR, most VRs (PS3.5 section 7.1.2)
    group[2] number[2] VR[2] 0000 length[4]      value      explicit VR, those of ``LONG_LENGTH``
"""

from __future__ import annotations

import struct
from io import BytesIO
from struct import Struct
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from app.dicom.network.identifiers import encode_identifier
from app.dicom.network.pdu import Buffer
from app.dicom.text import CODECS
from app.dicom.vrs import LONG_LENGTH, SHORT_LENGTH
from app.domain.study import ArchivedStudy

_RETURNED: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "NumberOfStudyRelatedInstances",
)
READ: Final = ("SpecificCharacterSet", "AccessionNumber", *_RETURNED)

_TEXT_VRS: Final = (b"SH", b"LO", b"PN")  # of what is read, those that Specific Character Set is about
_CODECS: Final = CODECS | {"ISO_IR 6": "ascii"}
_LONGEST_NUMBER: Final = 9  # digits; an IS ends at 2**31
_ITEM_GROUP: Final = 0xFFFE

_IMPLICIT, _EXPLICIT = Struct("<II"), Struct("<I2sH")  # the tag's halves are swapped
_LONG = Struct("<I")


def _swapped(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None  # the keywords are those of this module
    return tag >> 16 | (tag & 0xFFFF) << 16


_CHARACTER_SET: Final = _swapped("SpecificCharacterSet")
_KEYWORDS: Final = {_swapped(keyword): keyword for keyword in READ}
_VRS: Final = {tag: dictionary_VR(keyword).encode("ascii") for tag, keyword in _KEYWORDS.items()}


def encode_query(accession_prefix: str, transfer_syntax_uid: str) -> bytes:
    """The keys of a query for studies whose accession number begins like this.

    No (0008,0005): PS3.4 C.4.1.1.3.1 has it in a request only where the request's own text needs it.
    """
    keys = {"QueryRetrieveLevel": "STUDY", "AccessionNumber": f"{accession_prefix}*"}
    return encode_identifier(keys | dict.fromkeys(_RETURNED, ""), transfer_syntax_uid)


def read_answer(data: Buffer, implicit_vr: bool) -> ArchivedStudy:
    """The study that an answer describes. Raises whatever pydicom raises on bytes that are no data set."""
    texts = scan(data, implicit_vr)
    if texts is None:
        texts = read(data, implicit_vr)
    instances = texts.get("NumberOfStudyRelatedInstances", "")
    return ArchivedStudy(
        accession=texts.get("AccessionNumber", ""),
        study_uid=texts.get("StudyInstanceUID", ""),
        patient_id=texts.get("PatientID", ""),
        patient_name=texts.get("PatientName", "").rstrip("^"),
        birth_date=texts.get("PatientBirthDate"),
        sex=texts.get("PatientSex"),
        instances=int(instances) if instances.isdecimal() else None,
        character_set=texts.get("SpecificCharacterSet", ""),
    )


def scan(data: Buffer, implicit_vr: bool) -> dict[str, str] | None:
    """Those of the values in ``READ`` that there are, by keyword; None where the answer is not as almost all are."""
    try:
        return _texts(_values(data, implicit_vr))
    except (struct.error, ValueError):  # an element is cut off, or text is unusual
        return None


def read(data: Buffer, implicit_vr: bool) -> dict[str, str]:
    """The same by pydicom, of any data set."""
    ds = read_dataset(BytesIO(data), implicit_vr, is_little_endian=True)
    texts = {keyword: _text_of(ds, keyword) for keyword in READ if keyword in ds}
    if "SpecificCharacterSet" in texts:
        texts["SpecificCharacterSet"] = _character_set(ds)
    return texts


def _values(data: Buffer, implicit_vr: bool) -> dict[int, bytes]:
    """Those that are read, by swapped tag. Raises ValueError or struct.error where an element is unusual."""
    found = {}
    position, size = 0, len(data)
    while position < size:
        if implicit_vr:
            swapped, length = _IMPLICIT.unpack_from(data, position)
            vr = _VRS.get(swapped)
        else:
            swapped, vr, length = _EXPLICIT.unpack_from(data, position)
        position += 8
        if not implicit_vr and vr not in SHORT_LENGTH:
            if vr not in LONG_LENGTH:
                raise ValueError(vr)
            (length,) = _LONG.unpack_from(data, position)
            position += 4
        if swapped in _VRS:
            if vr != _VRS[swapped]:
                raise ValueError(vr)
            found[swapped] = bytes(data[position : position + length])
        elif swapped & 0xFFFF == _ITEM_GROUP:
            raise ValueError("an item outside of a sequence")
        position += length
    if position > size:
        raise ValueError("a value that is cut off, or whose length is undefined")
    return found


def _texts(found: dict[int, bytes]) -> dict[str, str]:
    """Raises ValueError where one is unusual."""
    codec = _CODECS.get(found.get(_CHARACTER_SET, b"").decode("ascii").rstrip("\0 "))
    if codec is None:
        raise ValueError("an unusual character set")
    texts = {_KEYWORDS[tag]: _text(value, codec if _VRS[tag] in _TEXT_VRS else "ascii") for tag, value in found.items()}
    number = texts.get("NumberOfStudyRelatedInstances", "")
    if number and not (number.isdecimal() and len(number) <= _LONGEST_NUMBER):
        raise ValueError("no number")
    return texts


def _text(value: bytes, codec: str) -> str:
    """Raises ValueError where this is not printable text of a single value."""
    text = value.decode(codec).rstrip("\0 ")
    if not text.isprintable() or "\\" in text or "=" in text:
        raise ValueError(text)
    return text.lstrip(" ")


def _text_of(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).strip()


def _character_set(ds: Dataset) -> str:
    """Several values are joined by backslashes as on the wire."""
    value = ds.get("SpecificCharacterSet") or ""
    return value if isinstance(value, str) else "\\".join(value)
