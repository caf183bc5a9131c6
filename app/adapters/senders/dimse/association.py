"""One DICOM association as requestor (PS3.8 section 7): negotiation, C-STORE, release and abort.

Faults of transport are AssociationFault: do it again on a new association. What no new association would change are the
domain's errors, with the cure: a TransportFault that says ``misconfigured`` when the peer will never talk to us as we
are set up, a PermanentError when it will never take the instance.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from pydicom.uid import UID

from app.adapters.senders.dimse import pdu
from app.adapters.senders.dimse.command import StoreResponse, decode_store_response, encode_store_request
from app.adapters.senders.dimse.connection import ConnectionLost, PduConnection
from app.domain.destination import DicomDestination
from app.domain.errors import PermanentError, TransportFault
from app.domain.study import EncodedInstance
from app.util.addresses import Resolve, resolve

Syntaxes: TypeAlias = tuple[str, str]  # SOP class UID, transfer syntax UID

_MAX_PDU: Final = 1 << 14  # what we take: C-STORE-RSPs are far shorter

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
_NO_REASON, _TRANSFER_SYNTAX_NOT_SUPPORTED = 2, 4
_CONTEXT_RESULTS = {  # PS3.8 section 9.3.3.2
    1: "rejected by the user",
    _NO_REASON: "rejected without a reason",
    3: "abstract syntax not supported",
    _TRANSFER_SYNTAX_NOT_SUPPORTED: "transfer syntaxes not supported",
}
_ABORT_SOURCES = {0: "its user", 2: "its service provider"}


class AssociationFault(Exception):
    """A fault of transport: refused, rejected for now, lost, aborted, silent. The text is a clause about the peer."""


class RejectedForNow(AssociationFault):
    """The peer rejected the association as transient: its limit of associations, or congestion."""


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds to wait, in the order in which they matter; the caller's deadline cuts each of them short."""

    connect: float = 5.0  # TCP
    acse: float = 30.0  # TLS handshake and association; a busy peer may leave us in its backlog for a while
    network: float = 60.0  # one write that makes no progress
    dimse: float = 30.0  # from the last byte of a request to its response
    release: float = 2.0  # after which the connection is closed all the same


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
        with contextlib.suppress(ConnectionLost):
            self._connection.send([pdu.Abort().encode()], time.monotonic() + self._limits.release, self._limits.release)
        self._connection.close()

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
        raise AssociationFault(f"{_describe(answer)} in answer to the association request")

    def _request(self) -> pdu.AssociateRequest:
        contexts = tuple(
            pdu.ProposedContext(context_id, sop_class, (transfer_syntax,))
            for context_id, (sop_class, transfer_syntax) in self._proposed.items()
        )
        return pdu.AssociateRequest(self._destination.aet, self._destination.calling_aet, contexts, _MAX_PDU)


class Association:
    """An established association; used by one thread at a time. A fault leaves it unusable: abort it."""

    def __init__(
        self,
        destination: DicomDestination,
        connection: PduConnection,
        proposed: dict[int, Syntaxes],
        accept: pdu.AssociateAccept,
        limits: TimeLimits,
    ) -> None:
        self._destination = destination
        self._connection = connection
        self._results = _context_results(proposed, accept.contexts)
        self._context_ids = {pair: context_id for context_id, pair in proposed.items()}
        self._peer_max_pdu = accept.max_pdu
        self._limits = limits
        self._message_id = 0
        self._usable = True

    @property
    def is_usable(self) -> bool:
        """Nothing is half done, and the peer has not ended it."""
        return self._usable and self._connection.is_quiet()

    def proposed(self, syntaxes: Syntaxes) -> bool:
        """Whether this pair was among the presentation contexts that were asked for."""
        return syntaxes in self._results

    def store(self, instance: EncodedInstance, deadline: float) -> StoreResponse:
        """One C-STORE and its answer, whatever that says.

        Raises:
            AssociationFault: no valid answer came; the peer may have stored the instance or not.
            PermanentError: the peer rejected the presentation context.
        """
        context_id = self._accepted((instance.sop_class_uid, instance.transfer_syntax_uid))
        self._message_id = self._message_id % 0xFFFF + 1
        command = encode_store_request(self._message_id, instance.sop_class_uid, instance.sop_instance_uid)
        self._usable = False
        try:
            parts = pdu.fragment(context_id, True, command, self._peer_max_pdu)
            parts += pdu.fragment(context_id, False, memoryview(instance.data).cast("B"), self._peer_max_pdu)
            self._connection.send(parts, deadline, self._limits.network)
            response = self._receive_response(min(deadline, time.monotonic() + self._limits.dimse))
        except TimeoutError as error:
            raise AssociationFault("no answer to a C-STORE in time") from error
        except (ConnectionLost, pdu.PduError) as error:
            raise AssociationFault(str(error)) from error
        self._usable = True
        return response

    def release(self) -> None:
        """End it in good order; closes the connection whatever the peer does."""
        deadline = time.monotonic() + self._limits.release
        with contextlib.suppress(ConnectionLost, pdu.PduError, TimeoutError):
            self._connection.send([pdu.ReleaseRequest().encode()], deadline, self._limits.release)
            answer = self._connection.receive(deadline)
            if isinstance(answer, pdu.ReleaseRequest):  # both asked at once, PS3.8 section 7.2.2.7
                self._connection.send([pdu.ReleaseResponse().encode()], deadline, self._limits.release)
                self._connection.receive(deadline)
        self._close()

    def abort(self) -> None:
        """End it at once, also one that a fault left unusable."""
        with contextlib.suppress(ConnectionLost):
            # The peer may have stopped reading: no waiting beyond a moment.
            self._connection.send([pdu.Abort().encode()], time.monotonic() + 0.1, self._limits.release)
        self._close()

    def _close(self) -> None:
        self._usable = False
        self._connection.close()

    def _accepted(self, syntaxes: Syntaxes) -> int:
        result = self._results[syntaxes]
        if result == 0:
            return self._context_ids[syntaxes]
        sop_class, transfer_syntax = (UID(uid).name for uid in syntaxes)
        raise PermanentError(
            f"{self._destination}: presentation context {sop_class} in {transfer_syntax}: "
            f"{_CONTEXT_RESULTS.get(result, f'result {result}')} (let the archive accept it, or send another modality)"
        )

    def _receive_response(self, deadline: float) -> StoreResponse:
        """The answer to the request with the present message ID; its command set may come in several fragments."""
        command = bytearray()
        while True:
            received = self._connection.receive(deadline)
            if not isinstance(received, pdu.DataTransfer):
                if isinstance(received, pdu.ReleaseRequest):
                    self._connection.send([pdu.ReleaseResponse().encode()], deadline, self._limits.release)
                raise AssociationFault(f"{_describe(received)} in place of an answer to a C-STORE")
            for value in received.values:
                command += value.data
                if value.is_command and value.is_last:
                    return self._checked(decode_store_response(command))
            if len(command) > _MAX_PDU:
                raise AssociationFault("an answer without end")

    def _checked(self, response: StoreResponse) -> StoreResponse:
        if response.message_id != self._message_id:
            raise AssociationFault(f"an answer to message {response.message_id}, not {self._message_id}")
        return response


def _context_results(proposed: dict[int, Syntaxes], answers: Iterable[pdu.ContextResult]) -> dict[Syntaxes, int]:
    """The result for each proposed pair; one without an answer, or with a syntax nobody proposed, is not accepted."""
    by_id = {answer.id: answer for answer in answers}
    results = {}
    for context_id, pair in proposed.items():
        answer = by_id.get(context_id)
        result = _NO_REASON if answer is None else answer.result
        if answer is not None and result == 0 and answer.transfer_syntax != pair[1]:
            result = _TRANSFER_SYNTAX_NOT_SUPPORTED
        results[pair] = result
    return results


def _rejection(destination: DicomDestination, reject: pdu.AssociateReject) -> Exception:
    reason = _REJECTION_REASONS.get((reject.source, reject.reason), f"source {reject.source} reason {reject.reason}")
    if reject.result != pdu.AssociateReject.PERMANENT:
        return RejectedForNow(f"association rejected for now: {reason}")
    cures = {
        (1, 3): f"register {destination.calling_aet} at the archive, or change the destination's calling_aet",
        (1, 7): "correct the AE title of the destination",
    }
    cure = cures.get((reject.source, reject.reason), "the archive's log says why")
    return TransportFault(f"{destination}: association rejected: {reason} ({cure})", misconfigured=True)


def _describe(received: pdu.Pdu) -> str:
    if isinstance(received, pdu.Abort):
        source = _ABORT_SOURCES.get(received.source, f"source {received.source}")
        return f"an abort by {source} (reason {received.reason})"
    if isinstance(received, pdu.ReleaseRequest):
        return "a release request"
    return f"a PDU of type 0x{received.TYPE:02X}"
