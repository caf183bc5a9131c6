"""The lies a receiver can tell, so that a run against it can show that it notices."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from enum import StrEnum

import structlog

from app.domain import identity
from app.receivers.dicom.ledger import Patient, Study
from app.receivers.dicom.options import DicomReceiverOptions

_log = structlog.get_logger()


class Lie(StrEnum):
    DROP = "drop"
    DUPLICATE = "duplicate"
    FAIL = "fail"
    SWAP_PATIENT = "swap_patient"


NOT_KEPT = (Lie.DROP, Lie.FAIL)


class Liar:
    """Decides once for each study which lie is told about it. Thread-safe.

    The first studies are lied about, each once, until the wanted numbers are reached. A swapped patient takes the
    place of this study's own, so that lie waits for a study that comes after one of somebody else.
    """

    def __init__(self, options: DicomReceiverOptions) -> None:
        self._lock = threading.Lock()
        self._untold = deque(
            [Lie.DROP] * options.drop
            + [Lie.DUPLICATE] * options.duplicate
            + [Lie.FAIL] * options.fail
            + [Lie.SWAP_PATIENT] * options.swap_patient
        )
        self._told: dict[str, tuple[Lie | None, Patient]] = {}
        self._patients: deque[Patient] = deque(maxlen=2)  # the latest two different ones under whom studies were kept

    def recall(self, study: Study, lie: Lie | None) -> None:
        """Take note of what an earlier receiver decided about a study, which is given as it was kept."""
        if lie and lie in self._untold:  # or that one was told to lie more than this one is
            self._untold.remove(lie)
        self._note(study, lie)

    def about(self, study: Study) -> tuple[Lie | None, Patient]:
        """The lie about this study, and the patient it is kept under."""
        with self._lock:
            if study.study_uid in self._told:
                return self._told[study.study_uid]
            told = self._choose(study)
            self._note(replace(study, patient=told[1]), told[0])
        if told[0]:
            _log.info("lie told", lie=told[0].value, study=study.study_uid, accession=study.accession)
        return told

    def _note(self, kept: Study, lie: Lie | None) -> None:
        if self._untold or lie:
            self._told[kept.study_uid] = lie, kept.patient
        if kept.patient not in self._patients:
            self._patients.append(kept.patient)

    def _choose(self, study: Study) -> tuple[Lie | None, Patient]:
        if not self._untold:
            return None, study.patient
        if self._untold[0] is not Lie.SWAP_PATIENT:
            return self._untold.popleft(), study.patient
        others = [patient for patient in self._patients if patient.id != study.patient.id]
        return (self._untold.popleft(), others[-1]) if others else (None, study.patient)


def duplicate_of(study: Study) -> Study:
    """The same study under another Study Instance UID, the same one every time."""
    return replace(study, study_uid=identity.uid(study.study_uid, "duplicate"))
