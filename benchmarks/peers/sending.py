"""How peers send: orders with python-hl7's client, instances with dcmtk's ``storescu`` or with pynetdicom."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from hl7.client import MLLPClient
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association

from benchmarks.peers.archive import dcmtk_environment
from tests.services.dcmtk import run_dcmtk

HOST = "127.0.0.1"


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


def associate(aet: str, port: int, no_delay: bool) -> Association:
    """A pynetdicom association for CT images. Raises PeerFailed: there is none."""
    ae = AE("PEER")
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    handlers: list[Any] = [(evt.EVT_CONN_OPEN, _without_delay)] if no_delay else []
    association = ae.associate(HOST, port, ae_title=aet, evt_handlers=handlers)
    if not association.is_established:
        raise PeerFailed(f"no association with {aet}")
    return association


def store(association: Association, ds: Dataset) -> None:
    """One C-STORE. Raises PeerFailed: its status is not success."""
    status = association.send_c_store(ds)
    if "Status" not in status or status.Status != 0:
        raise PeerFailed(f"C-STORE of {ds.SOPInstanceUID}: {status}")


def _without_delay(event: evt.Event) -> None:
    event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
