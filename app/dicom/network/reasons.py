"""What a peer says by ending an association, or by not beginning one, as a clause for people."""

from __future__ import annotations

from app.dicom.network.pdu import Abort, AssociateReject, Pdu, ReleaseRequest

_REJECTION_REASONS = {  # (source, reason), PS3.8 section 9.3.4
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given by its ACSE",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
_ABORT_SOURCES = {0: "its user", 2: "its service provider"}


def rejection_reason(reject: AssociateReject) -> str:
    return _REJECTION_REASONS.get((reject.source, reject.reason), f"source {reject.source} reason {reject.reason}")


def what(received: Pdu) -> str:
    """A PDU that nobody expected."""
    if isinstance(received, Abort):
        source = _ABORT_SOURCES.get(received.source, f"source {received.source}")
        return f"an abort by {source} (reason {received.reason})"
    if isinstance(received, ReleaseRequest):
        return "a release request"
    return f"a PDU of type 0x{received.TYPE:02X}"
