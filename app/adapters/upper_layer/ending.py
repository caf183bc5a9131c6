"""The end of an association that the requestor brings about (PS3.8 sections 7.2 and 7.3); closes the connection."""

from __future__ import annotations

import contextlib
import time

from app.adapters.upper_layer.connection import ConnectionLost, PduConnection
from app.dicom.network import pdu


def release(connection: PduConnection, seconds: float) -> None:
    """End it in good order; whatever the peer does, after ``seconds`` it is over."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(ConnectionLost, pdu.PduError, TimeoutError):
        connection.send([pdu.ReleaseRequest().encode()], deadline, seconds)
        answer = connection.receive(deadline)
        if isinstance(answer, pdu.ReleaseRequest):  # both asked at once, PS3.8 section 7.2.2.7
            connection.send([pdu.ReleaseResponse().encode()], deadline, seconds)
            connection.receive(deadline)
    connection.close()


def abort(connection: PduConnection, seconds: float) -> None:
    """End it at once, also one that a fault left unusable; a peer that stopped reading is not waited for."""
    with contextlib.suppress(ConnectionLost):
        connection.send([pdu.Abort().encode()], time.monotonic() + seconds, seconds)
    connection.close()
