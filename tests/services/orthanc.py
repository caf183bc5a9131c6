"""A private Orthanc: own ports, storage and index, any AE title may store, find and echo."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.services.processes import Program, ServiceMissing, free_port, wait_until

PATHS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"


class Orthanc(Program):
    """A server that answers.

    Args:
        folder: empty; takes configuration, storage, index and log.
        settings: further entries of its configuration.

    Raises:
        ServiceMissing: Orthanc is not installed.
    """

    aet = "ORTHANC"

    def __init__(self, folder: Path, **settings: Any) -> None:
        program = shutil.which("Orthanc", path=PATHS)
        if program is None:
            raise ServiceMissing("Orthanc", "orthanc")
        self.dicom_port = free_port()
        self.http_port = free_port()
        configuration = folder / "orthanc.json"
        configuration.write_text(json.dumps(self._configuration(folder) | settings))
        super().__init__([program, configuration], folder / "orthanc.log")
        wait_until(self._answers, 60, f"Orthanc, log in {folder}")

    @property
    def address(self) -> str:
        return f"{self.aet}@127.0.0.1:{self.dicom_port}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def get(self, path: str) -> Any:
        """What its REST API says, for example to ``statistics``."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.http_url}/{path}", timeout=30) as response:
            return json.load(response)

    def _configuration(self, folder: Path) -> dict[str, Any]:
        return {
            "Name": "Private",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "index"),
            "Plugins": [],
            "DicomAet": self.aet,
            "DicomPort": self.dicom_port,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomCheckModalityHost": False,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
        }

    def _answers(self) -> bool:
        if not self.running:
            raise RuntimeError(f"Orthanc ended:\n{self.output}")
        with contextlib.suppress(OSError):
            return bool(self.get("system"))
        return False


@contextlib.contextmanager
def running_orthanc() -> Iterator[Orthanc]:
    """A server that was started; ended, and its data removed, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="yeeter-orthanc-"))
    try:
        with Orthanc(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
