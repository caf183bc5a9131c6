"""TLS of the receivers: MLLP over TLS, and DICOM's secure transport connection profiles (PS3.15 annex B, BCP 195)."""

from __future__ import annotations

import ssl
from pathlib import Path

from app.domain.errors import InvalidInput, Problem


def server_context(certificate: Path | None, key: Path | None, authorities: Path | None) -> ssl.SSLContext | None:
    """How a receiver speaks TLS; None without a certificate: it speaks plain TCP.

    Args:
        certificate: PEM, what it shows.
        key: PEM, where the certificate's file does not hold the key too.
        authorities: PEM; senders must show a certificate that one of these CAs issued.

    Raises:
        InvalidInput: a file can't be read as what it should be, or the certificate is missing.
    """
    if certificate is None:
        if key or authorities:
            raise InvalidInput(Problem("--tls-cert-file", "is missing", "without it no TLS is spoken"))
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authorities)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
    except OSError as error:
        names = "--tls-cert-file, --tls-key-file or --tls-ca-file"
        raise InvalidInput(
            Problem(names, f"can't be used: {error}", "give PEM files that this user can read")
        ) from error
    if authorities is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
