"""Comparing an archive's answer with the order, across character sets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.dicom.comparison import ExpectedStudy, study_difference
from app.domain.study import ArchivedStudy

EXPECTED = ExpectedStudy("2.25.1", "Y1", "Hrubeš^Chandra", "19700102", "F", 3)
FOUND = ArchivedStudy("A", "2.25.1", "Y1", "Hrubeš^Chandra", "19700102", "F", 3, "ISO_IR 192")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"patient_name": "Hrubeš^Chandra^^"}, ""),
        ({"patient_name": "Hrube^Chandra", "character_set": "ISO_IR 100"}, ""),  # Orthanc's default
        ({"patient_name": "Hrube?^Chandra", "character_set": "ISO_IR 100"}, ""),
        ({"patient_name": "Hrube?^Chandra", "character_set": ""}, ""),
        ({"patient_name": "Hrube^Chandra"}, "Patient's Name is 'Hrube^Chandra', not 'Hrubeš^Chandra'"),
        ({"patient_name": "Other^Chandra", "character_set": "ISO_IR 100"}, "Patient's Name"),
        ({"birth_date": None, "sex": None, "instances": None}, ""),  # not said, not compared
        ({"birth_date": ""}, "Patient's Birth Date is ''"),
        ({"instances": 2}, "number of instances is 2, not 3"),
        ({"patient_id": "Y2", "sex": "M"}, "Patient ID is 'Y2', not 'Y1'; Patient's Sex is 'M', not 'F'"),
        ({"study_uid": "2.25.9"}, "Study Instance UID"),
    ],
)
def test_a_difference_is_told_in_words(changes: dict[str, object], words: str) -> None:
    difference = study_difference(EXPECTED, replace(FOUND, **changes))
    assert difference.startswith(words) if words else difference == ""
