"""What happens to an instance between its arrival and its answer: read, perhaps lied about, kept, entered."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import structlog

from app.dicom.part10 import write_part10
from app.domain.study import IMPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.receivers.dicom.ledger import Patient, Study, StudyLedger
from app.receivers.dicom.lies import NOT_KEPT, Liar, Lie, duplicate_of
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.reading import read_study
from app.receivers.journal import Journal, Record

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000

_log = structlog.get_logger()


class Intake:
    """Takes instances into the ledger, and into a folder and a file where they were named. Thread-safe.

    A line of the file is a C-STORE: its study and instance. The first of a study also says whose it is, as it was kept,
    and the lie that is told about it, if any.
    """

    def __init__(self, options: DicomReceiverOptions, ledger: StudyLedger) -> None:
        self._ledger = ledger
        self._liar = Liar(options)
        self._keep = options.keep
        self._journal: Journal | None = None
        self._written: dict[str, tuple[Study, Lie | None]] = {}  # the studies in the file, by Study Instance UID

    def open(self, path: Path) -> None:
        """Take in what the file says, and write on in it; see :class:`app.receivers.journal.Journal` for errors."""
        self._journal = Journal(path, self._recall)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()

    def take(self, instance: EncodedInstance) -> int:
        """The status to answer with. The instance's data is not looked at after the call."""
        sop_instance_uid = instance.sop_instance_uid
        try:
            study = read_study(instance.data, instance.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN)
        except Exception as error:  # pydicom raises many kinds on bytes that are no data set
            _log.warning("instance not understood", instance=sop_instance_uid, error=str(error))
            return CANNOT_UNDERSTAND
        if not study.study_uid:
            _log.warning("instance without a Study Instance UID", instance=sop_instance_uid)
            return CANNOT_UNDERSTAND
        lie, patient = self._liar.about(study)
        study = replace(study, patient=patient)
        try:
            if self._keep is not None and lie not in NOT_KEPT:
                write_instance(self._keep, instance)
            self._write(study, lie, sop_instance_uid)
        except OSError as error:
            _log.warning("instance not written", instance=sop_instance_uid, error=str(error))
            return OUT_OF_RESOURCES
        self._enter(study, lie, sop_instance_uid)
        return CANNOT_UNDERSTAND if lie is Lie.FAIL else SUCCESS

    def _enter(self, study: Study, lie: Lie | None, sop_instance_uid: str) -> None:
        if lie in NOT_KEPT:
            return
        self._ledger.add(study, sop_instance_uid)
        if lie is Lie.DUPLICATE:
            self._ledger.add(duplicate_of(study), sop_instance_uid)

    def _write(self, study: Study, lie: Lie | None, sop_instance_uid: str) -> None:
        if self._journal is None:
            return
        record = {"study_uid": study.study_uid, "sop_instance_uid": sop_instance_uid}
        if study.study_uid not in self._written:
            self._journal.append(record | _description(study, lie))
            self._written[study.study_uid] = study, lie
        elif lie not in NOT_KEPT:
            self._journal.append(record)

    def _recall(self, record: Record) -> None:
        """Take in a line of the file. Raises KeyError or ValueError when it is none."""
        uid = record["study_uid"]
        if uid not in self._written:
            patient = Patient(record["patient_id"], record["patient_name"], record["birth_date"], record["sex"])
            lie = Lie(record["lie"]) if "lie" in record else None
            self._written[uid] = Study(uid, record["accession"], patient), lie
            self._liar.recall(*self._written[uid])
        self._enter(*self._written[uid], record["sop_instance_uid"])


def _description(study: Study, lie: Lie | None) -> Record:
    patient = study.patient
    record = {
        "accession": study.accession,
        "patient_id": patient.id,
        "patient_name": patient.name,
        "birth_date": patient.birth_date,
        "sex": patient.sex,
    }
    return record if lie is None else record | {"lie": lie.value}


def write_instance(folder: Path, instance: EncodedInstance) -> None:
    """Write under a name made from the UID's hash, whole or not at all; the same instance again replaces."""
    name = hashlib.sha256(instance.sop_instance_uid.encode()).hexdigest()[:32] + ".dcm"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        file.write(write_part10(instance))
        file.write(instance.data)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(folder / name)
