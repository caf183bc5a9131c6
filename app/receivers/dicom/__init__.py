"""The built-in DICOM receiver: an SCP that keeps a ledger of what it was sent, and can lie about it."""

from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import serve

__all__ = ["DicomReceiverOptions", "serve"]
