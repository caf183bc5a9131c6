"""What the receiver was sent: one entry a study, instances counted once however often they came."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Patient:
    """The patient as the data set names them; text decoded, names without trailing carets."""

    id: str
    name: str
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True)
class Study:
    """What identifies a study in each of its instances."""

    study_uid: str
    accession: str
    patient: Patient


@dataclass(slots=True)
class StudyEntry:
    """A study in the ledger. ``instances`` holds 64-bit hashes of SOP Instance UIDs, a third of the texts' memory."""

    study: Study
    instances: set[int] = field(default_factory=set)
    repeats: int = 0  # C-STOREs of an instance that was there already


class StudyLedger:
    """The studies by Study Instance UID. Thread-safe; the first instance of a study decides what the entry says."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, StudyEntry] = {}

    def add(self, study: Study, sop_instance_uid: str) -> None:
        key = hash(sop_instance_uid)
        with self._lock:
            entry = self._entries.get(study.study_uid)
            if entry is None:
                entry = self._entries[study.study_uid] = StudyEntry(study)
            if key in entry.instances:
                entry.repeats += 1
            else:
                entry.instances.add(key)

    def entries(self) -> list[StudyEntry]:
        """The entries so far, in order of arrival."""
        with self._lock:
            return list(self._entries.values())
