"""Options of the DICOM receiver."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DicomReceiverOptions:
    """How ``yeeter receive dicom`` listens, what it keeps, and how it lies.

    The lies apply to the first studies that arrive: each study is told at most one, in the order of the fields below.
    """

    host: str = "127.0.0.1"
    port: int = 11112  # 0: any free one
    aet: str = "YEETER"
    check_aet: bool = False  # reject associations that call another AE title
    keep: Path | None = None  # folder for the received instances, as Part 10 files; empty: index only
    ledger: Path | None = (
        None  # file for the ledger, a JSON line a C-STORE; what it has is known again at the next start
    )
    until_eof: bool = False  # stop when stdin ends
    delay_ms: int = 0  # before each answer to a C-STORE
    tls_cert_file: Path | None = None  # PEM; with it, TLS is spoken
    tls_key_file: Path | None = None  # PEM; not needed where the certificate's file holds the key too
    tls_ca_file: Path | None = None  # PEM; senders must then show a certificate that one of these CAs issued

    drop: int = 0  # studies that are answered with success and not kept
    duplicate: int = 0  # studies that are kept a second time under another Study Instance UID
    fail: int = 0  # studies whose instances are answered with 0xC000
    swap_patient: int = 0  # studies that are kept under another study's patient
