"""Asking for an association and what becomes of it (PS3.8 section 7.1): accepted, rejected, or no answer so far.

With the presentation contexts goes a proposal to have more than one C-STORE under way at a time, the asynchronous
operations window (PS3.7 annex D.3.3.3). A peer that says nothing of it, or one, gets them one at a time.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Final

from app.adapters.senders.dimse.association import (
    WINDOW,
    Association,
    AssociationFault,
    RejectedForNow,
    Syntaxes,
)
from app.adapters.upper_layer import ConnectionLost, PduConnection, TimeLimits, abort
from app.dicom.network import pdu
from app.dicom.network.reasons import rejection_reason, what
from app.domain.destination import DicomDestination
from app.domain.errors import TransportFault
from app.util.addresses import Resolve, resolve

_MAX_PDU: Final = 1 << 14  # what we take: C-STORE-RSPs are far shorter


class PendingAssociation:
    """An association that was asked for and may still be waiting in the peer's backlog."""

    def __init__(
        self,
        destination: DicomDestination,
        syntaxes: Iterable[Syntaxes],
        tls: ssl.SSLContext | None,
        limits: TimeLimits,
        deadline: float,
        resolve: Resolve = resolve,
    ) -> None:
        """Connect to one of the addresses that ``resolve`` says.

        Raises:
            AssociationFault: no connection.
        """
        self._destination = destination
        self._limits = limits
        self._proposed = {2 * number + 1: pair for number, pair in enumerate(syntaxes)}
        self._requested = False
        seconds = min(limits.connect, deadline - time.monotonic())
        try:
            self._connection = PduConnection.open(destination.host, destination.port, tls, seconds, resolve)
        except ConnectionLost as error:
            raise AssociationFault(str(error)) from error

    def wait(self, deadline: float) -> Association | None:
        """The association, or None when the deadline passed without an answer: call again to go on waiting.

        Raises:
            AssociationFault: rejected for now, aborted or lost.
            TransportFault: rejected for good, or TLS with a certificate we don't trust.
        """
        try:
            return self._negotiate(deadline)
        except TimeoutError:
            return None
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise TransportFault(
                f"{self._destination}: its TLS certificate is not trusted: {error.verify_message} "
                "(check the CA file in the settings and the destination's host name)",
                misconfigured=True,
            ) from error
        except (ConnectionLost, pdu.PduError) as error:
            self._connection.close()
            raise AssociationFault(str(error)) from error

    def abandon(self) -> None:
        """Not wanted any more."""
        abort(self._connection, self._limits.release)

    def _negotiate(self, deadline: float) -> Association:
        if not self._requested:
            self._connection.handshake(deadline)
            self._connection.send([self._request().encode()], deadline, self._limits.network)
            self._requested = True
        answer = self._connection.receive(deadline)
        if isinstance(answer, pdu.AssociateAccept):
            return Association(self._destination, self._connection, self._proposed, answer, self._limits)
        self._connection.close()
        if isinstance(answer, pdu.AssociateReject):
            raise _rejection(self._destination, answer)
        raise AssociationFault(f"{what(answer)} in answer to the association request")

    def _request(self) -> pdu.AssociateRequest:
        contexts = tuple(
            pdu.ProposedContext(context_id, sop_class, (transfer_syntax,))
            for context_id, (sop_class, transfer_syntax) in self._proposed.items()
        )
        return pdu.AssociateRequest(
            self._destination.aet, self._destination.calling_aet, contexts, _MAX_PDU, window=WINDOW
        )


def _rejection(destination: DicomDestination, reject: pdu.AssociateReject) -> Exception:
    reason = rejection_reason(reject)
    if reject.result != pdu.AssociateReject.PERMANENT:
        return RejectedForNow(f"association rejected for now: {reason}")
    cures = {
        (1, 3): f"register {destination.calling_aet} at the archive, or change the destination's calling_aet",
        (1, 7): "correct the AE title of the destination",
    }
    cure = cures.get((reject.source, reject.reason), "the archive's log says why")
    return TransportFault(f"{destination}: association rejected: {reason} ({cure})", misconfigured=True)
