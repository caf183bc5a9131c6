"""Programs of dcmtk as peers: ``storescp`` as a server, and its clients run to their end."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pydicom
from pydicom.filereader import read_file_meta_info

from tests.services.processes import Program, ServiceMissing, free_port, wait_until


class Storescp(Program):
    """A storage SCP that is listening, as installed unless options say otherwise: one association at a time.

    Args:
        folder: takes the received instances (bit by bit as they came) and the log; empty, or left by an earlier one.
        options: further command line options.
        environment: variables of its own, such as dcmtk's TCP_NODELAY.

    Raises:
        ServiceMissing: dcmtk is not installed.
    """

    aet = "STORESCP"

    def __init__(self, folder: Path, *options: str | Path, environment: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.folder = folder / "received"
        self.folder.mkdir(exist_ok=True)
        command: list[str | Path] = [_installed("storescp"), "--aetitle", self.aet, "--bit-preserving"]
        command += ["--output-directory", self.folder, *options, str(self.port)]
        super().__init__(command, folder / "storescp.log", {**os.environ, **(environment or {})})
        wait_until(self._listens, 30, "storescp")

    @property
    def address(self) -> str:
        return f"{self.aet}@127.0.0.1:{self.port}"

    def received(self) -> dict[str, pydicom.Dataset]:
        """The instances it has written, by SOP Instance UID."""
        files = (pydicom.dcmread(path) for path in self.folder.iterdir())
        return {str(ds.SOPInstanceUID): ds for ds in files}

    def received_data(self) -> dict[str, bytes]:
        """The encoded data sets as they came, without preamble and file meta information, by SOP Instance UID."""
        data = {}
        for path in self.folder.iterdir():
            with path.open("rb") as file:
                meta = read_file_meta_info(path)
                # preamble and prefix, then the group length element itself
                file.seek(132 + 12 + meta.FileMetaInformationGroupLength)
                data[str(meta.MediaStorageSOPInstanceUID)] = file.read()
        return data

    def _listens(self) -> bool:
        if not self.running:
            raise RuntimeError(f"storescp ended:\n{self.output}")
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        return False


def run_dcmtk(
    program: str, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a client such as ``echoscu`` to its end; its exit code and its output (both streams in ``stdout``).

    Raises:
        ServiceMissing: dcmtk is not installed.
    """
    return subprocess.run(
        [_installed(program), *map(str, arguments)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


def _installed(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise ServiceMissing(program, "dcmtk")
    return path
