"""Comparing what an archive says of a study with what was ordered."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.charset import convert_encodings

from app.dicom.person_name import normal_pn
from app.domain.study import ArchivedStudy


@dataclass(frozen=True, slots=True)
class ExpectedStudy:
    """What must be there; dates as YYYYMMDD, the name in PN form."""

    study_uid: str
    patient_id: str
    patient_name: str
    birth_date: str
    sex: str
    instances: int


def study_difference(expected: ExpectedStudy, found: ArchivedStudy) -> str:
    """What the archive has otherwise, for people; empty when nothing. What it did not say is not compared."""
    pairs = (
        ("Study Instance UID", expected.study_uid, found.study_uid),
        ("Patient ID", expected.patient_id, found.patient_id),
        ("Patient's Birth Date", expected.birth_date, found.birth_date),
        ("Patient's Sex", expected.sex, found.sex),
        ("number of instances", expected.instances, found.instances),
    )
    differences = [f"{name} is {got!r}, not {want!r}" for name, want, got in pairs if got is not None and got != want]
    if normal_pn(found.patient_name) not in spellings(expected.patient_name, found.character_set):
        differences.append(f"Patient's Name is {found.patient_name!r}, not {expected.patient_name!r}")
    return "; ".join(differences)


def spellings(name: str, character_set: str) -> set[str]:
    """How a right name may read in an answer of this Specific Character Set.

    An archive that answers in its own default (Orthanc: Latin-1) leaves out, or replaces by a question mark, what it
    can't spell there, though it has stored it whole.
    """
    codecs = [codec for codec in convert_encodings(character_set.split("\\")) if codec]
    return {normal_pn(name)} | {
        normal_pn(name.encode(codec, errors).decode(codec)) for codec in codecs for errors in ("ignore", "replace")
    }
