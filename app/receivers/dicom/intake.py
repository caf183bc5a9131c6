"""What happens to an instance between its arrival and its answer: read, perhaps lied about, kept, entered."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import structlog
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag

from app.receivers.dicom.ledger import Patient, Study, StudyLedger
from app.receivers.dicom.lies import Liar, Lie, duplicate_of
from app.receivers.dicom.options import DicomReceiverOptions

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANNOT_UNDERSTAND = 0xC000

_log = structlog.get_logger()

_STUDY_INSTANCE_UID = 0x0020000D


class Intake:
    """Takes instances into the ledger, and into a folder where one was named. Thread-safe."""

    def __init__(self, options: DicomReceiverOptions, ledger: StudyLedger) -> None:
        self._ledger = ledger
        self._liar = Liar(options)
        self._keep = options.keep

    def take(self, data: BytesIO, implicit_vr: bool, sop_instance_uid: str, part10: Callable[[], bytes]) -> int:
        """The status to answer with. ``part10`` gives the instance as a file's content, where it is to be kept."""
        try:
            study = read_study(data, implicit_vr)
        except Exception as error:  # pydicom raises many kinds on bytes that are no data set
            _log.warning("instance not understood", instance=sop_instance_uid, error=str(error))
            return CANNOT_UNDERSTAND
        if not study.study_uid:
            _log.warning("instance without a Study Instance UID", instance=sop_instance_uid)
            return CANNOT_UNDERSTAND
        lie, patient = self._liar.about(study)
        if lie is Lie.FAIL:
            return CANNOT_UNDERSTAND
        if lie is Lie.DROP:
            return SUCCESS
        if self._keep is not None:
            try:
                write_instance(self._keep, sop_instance_uid, part10())
            except OSError as error:
                _log.warning("instance not written", instance=sop_instance_uid, error=str(error))
                return OUT_OF_RESOURCES
        study = replace(study, patient=patient)
        self._ledger.add(study, sop_instance_uid)
        if lie is Lie.DUPLICATE:
            self._ledger.add(duplicate_of(study), sop_instance_uid)
        return SUCCESS


def read_study(data: BytesIO, implicit_vr: bool) -> Study:
    """Read an encoded little-endian data set as far as (0020,000D), well before the pixels."""
    data.seek(0)
    ds = read_dataset(data, implicit_vr, is_little_endian=True, stop_when=_after_study_instance_uid)
    patient = Patient(
        id=_text(ds, "PatientID"),
        name=_text(ds, "PatientName").rstrip("^"),
        birth_date=_text(ds, "PatientBirthDate"),
        sex=_text(ds, "PatientSex"),
    )
    return Study(_text(ds, "StudyInstanceUID"), _text(ds, "AccessionNumber"), patient)


def write_instance(folder: Path, sop_instance_uid: str, content: bytes) -> None:
    """Write under a name made from the UID's hash, whole or not at all; the same instance again replaces."""
    name = hashlib.sha256(sop_instance_uid.encode()).hexdigest()[:32] + ".dcm"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(folder / name)


def _after_study_instance_uid(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _STUDY_INSTANCE_UID


def _text(ds: Dataset, keyword: str) -> str:
    raw = ds.get_item(keyword)
    if raw is None:
        return ""
    if isinstance(raw.value, bytes) and raw.value.isascii() and b"\x1b" not in raw.value:
        return raw.value.decode("ascii").strip(" \0")  # the usual case; pydicom's conversion takes ten times as long
    return str(ds.get(keyword) or "").strip(" \0")
