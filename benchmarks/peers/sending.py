"""How peers send: orders with python-hl7's client, instances with dcmtk's ``storescu`` or with pynetdicom."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, Self

from hl7.client import MLLPClient
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association

from benchmarks.peers.archive import dcmtk_environment
from tests.services.dcmtk import run_dcmtk

HOST = "127.0.0.1"
LOST_SECONDS = 5.0  # after which a response is lost


class PeerFailed(RuntimeError):
    """A peer did not do its work: its figure does not count."""


def send_order(client: MLLPClient, message: bytes, control_id: str) -> None:
    """Send a message and wait for its acknowledgement. Raises PeerFailed: it is not AA for this control ID."""
    answer = client.send_message(message)
    if f"\rMSA|AA|{control_id}".encode() not in answer:
        raise PeerFailed(f"order {control_id} was not acknowledged: {answer!r}")


def store_files(path: Path, aet: str, port: int, no_delay: bool) -> None:
    """One ``storescu`` process, which sends a file, or all files of a folder. Raises PeerFailed."""
    command = ("--scan-directories", "--required", "--aetitle", "PEER", "--call", aet, HOST, str(port), path)
    done = run_dcmtk("storescu", *command, environment=dcmtk_environment(no_delay))
    if done.returncode != 0:
        raise PeerFailed(f"storescu: {done.stdout}")


class PynetdicomSender:
    """C-STORE of CT images over one association, which is kept; used as a context manager it is released at the end.

    pynetdicom loses a response now and then: between a request and the waiting for its answer, another thread of its
    may take the answer for an unexpected message. So what was not answered is sent once more, over a new association.
    """

    def __init__(self, aet: str, port: int, no_delay: bool) -> None:
        self._peer = aet, port
        self._handlers: list[Any] = [(evt.EVT_CONN_OPEN, _without_delay)] if no_delay else []
        self._association: Association | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._association is not None and self._association.is_established:
            self._association.release()

    def store(self, ds: Dataset) -> None:
        """Raises PeerFailed: there is no association, or the status is not success."""
        status = self._associated().send_c_store(ds)
        if "Status" not in status:
            status = self._associated().send_c_store(ds)
        if "Status" not in status or status.Status != 0:
            raise PeerFailed(f"C-STORE of {ds.SOPInstanceUID}: {status}")

    def _associated(self) -> Association:
        if self._association is None or not self._association.is_established:
            aet, port = self._peer
            ae = AE("PEER")
            ae.dimse_timeout = LOST_SECONDS
            ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
            self._association = ae.associate(HOST, port, ae_title=aet, evt_handlers=self._handlers)
            if not self._association.is_established:
                raise PeerFailed(f"no association with {aet}")
        return self._association


def _without_delay(event: evt.Event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
