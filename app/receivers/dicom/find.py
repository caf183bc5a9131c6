"""C-FIND at study level from the ledger (PS3.4 annex C.4.1): which entries match an identifier, and the answers.

Matching keys: AccessionNumber, PatientID, PatientName (single value, or with the wildcards ``*`` and ``?``) and
StudyInstanceUID (one or a list). An empty key matches everything; every other key is returned, not matched.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from app.dicom.network.pdu import Buffer
from app.domain.study import IMPLICIT_VR_LITTLE_ENDIAN
from app.receivers.dicom.ledger import StudyEntry

_VALUES: dict[str, Callable[[StudyEntry], str]] = {
    "AccessionNumber": lambda entry: entry.study.accession,
    "PatientID": lambda entry: entry.study.patient.id,
    "PatientName": lambda entry: entry.study.patient.name,
    "PatientBirthDate": lambda entry: entry.study.patient.birth_date,
    "PatientSex": lambda entry: entry.study.patient.sex,
    "StudyInstanceUID": lambda entry: entry.study.study_uid,
    "NumberOfStudyRelatedInstances": lambda entry: str(len(entry.instances)),
}
_WILDCARD_KEYS = ("AccessionNumber", "PatientID", "PatientName")


def decode_identifier(data: Buffer, transfer_syntax_uid: str) -> Dataset:
    """The keys of a query. Raises whatever pydicom raises on bytes that are no data set."""
    return read_dataset(BytesIO(data), transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN, is_little_endian=True)


def study_filter(identifier: Dataset) -> Callable[[StudyEntry], bool]:
    """Whether an entry matches all keys of the identifier."""
    tests = [
        (_VALUES[keyword], _pattern(text)) for keyword in _WILDCARD_KEYS if (text := _key(identifier, keyword)) != ""
    ]
    wanted = _uids(identifier)

    def matches(entry: StudyEntry) -> bool:
        if wanted and entry.study.study_uid not in wanted:
            return False
        return all(pattern.fullmatch(value(entry)) for value, pattern in tests)

    return matches


def study_answer(entry: StudyEntry, identifier: Dataset, aet: str) -> dict[str, str]:
    """The response identifier by keyword: those of the requested attributes that the ledger has; always in UTF-8."""
    values = {keyword: value(entry) for keyword, value in _VALUES.items() if keyword in identifier}
    return values | {
        "SpecificCharacterSet": "ISO_IR 192",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": aet,
        "StudyInstanceUID": entry.study.study_uid,
    }


def _key(identifier: Dataset, keyword: str) -> str:
    return str(identifier.get(keyword) or "").rstrip("^")


def _uids(identifier: Dataset) -> set[str]:
    value = identifier.get("StudyInstanceUID")
    if not value:
        return set()
    return {value} if isinstance(value, str) else set(value)


def _pattern(text: str) -> re.Pattern[str]:
    """The wildcards of PS3.4 C.2.2.2.4 as a regular expression that never tries a ``*`` again (an atomic group)."""
    first, *others = [re.escape(part).replace(r"\?", ".") for part in text.split("*")]
    if others:
        first += "".join(f"(?>.*?{part})" for part in others[:-1]) + ".*" + others[-1]
    return re.compile(first, re.DOTALL)
