"""How long a peer is waited for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds to wait, in the order in which they matter; the caller's deadline cuts each of them short."""

    connect: float = 5.0  # TCP
    acse: float = 30.0  # TLS handshake and association; a busy peer may leave us in its backlog for a while
    network: float = 60.0  # one write that makes no progress
    dimse: float = 30.0  # to an answer, from the last byte of the latest request, or from the answer before
    release: float = 2.0  # after which the connection is closed all the same
