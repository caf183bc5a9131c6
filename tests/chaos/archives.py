"""Archives that can be stopped, come back with what they had, and be asked what that is by another way than DICOM."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

import pydicom

from tests.services.dcmtk import Storescp
from tests.services.orthanc import Orthanc

TAGS = ["SOPInstanceUID", "StudyInstanceUID", "AccessionNumber", "PatientID"]


class Study(NamedTuple):
    """What an archive has of a study; ``instances`` are different ones."""

    study_uid: str
    accession: str
    patient_id: str
    instances: int


class Archive(Protocol):
    """``port`` is the present DICOM port: it may be another one after each start."""

    aet: str
    port: int
    can_be_asked: bool  # by C-FIND, as the run's reconciliation does

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def studies(self) -> list[Study]:
        """Everything it has."""
        ...


class OrthancArchive:
    """Orthanc; asked through its REST API."""

    aet = Orthanc.aet
    can_be_asked = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self._server: Orthanc | None = None
        self.port = 0

    def start(self) -> None:
        self._server = self._running.enter_context(Orthanc(self._folder))
        self.port = self._server.dicom_port

    def stop(self) -> None:
        self._running.close()

    def studies(self) -> list[Study]:
        assert self._server is not None
        instances: Counter[str] = Counter()
        for series in self._server.get("series?expand"):
            instances[series["ParentStudy"]] += len(series["Instances"])
        return [
            Study(
                study["MainDicomTags"]["StudyInstanceUID"],
                study["MainDicomTags"]["AccessionNumber"],
                study["PatientMainDicomTags"]["PatientID"],
                instances[study["ID"]],
            )
            for study in self._server.get("studies?expand")
        ]


class StorescpArchive:
    """dcmtk's storescp, a process for each association; asked by reading its files."""

    aet = Storescp.aet
    can_be_asked = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Storescp | None = None
        self.port = 0

    def start(self) -> None:
        self._server = Storescp(self._folder, "--fork")
        self.port = self._server.port

    def stop(self) -> None:
        if self._server is not None:
            self._server.kill()

    def studies(self) -> list[Study]:
        """Every file is an instance, named by its UID: one that was stored again is the same file."""
        instances: Counter[tuple[str, str, str]] = Counter()
        for path in (self._folder / "received").iterdir():
            ds = pydicom.dcmread(path, specific_tags=TAGS, stop_before_pixels=True)
            instances[ds.StudyInstanceUID, ds.AccessionNumber, ds.PatientID] += 1
        return [Study(*study, count) for study, count in instances.items()]


def new_archive(kind: str, folder: Path) -> Archive:
    folder.mkdir()
    return OrthancArchive(folder) if kind == "orthanc" else StorescpArchive(folder)
