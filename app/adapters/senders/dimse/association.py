"""One established DICOM association as requestor (PS3.8 section 7): C-STOREs, release and abort.

Faults of transport are AssociationFault: do it again on a new association. What no new association would change are the
domain's errors, with the cure: a TransportFault that says ``misconfigured`` when the peer will never talk to us as we
are set up, a PermanentError when it will never take the instance.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Final, TypeAlias

from pydicom.uid import UID

from app.adapters.senders.dimse.command import StoreResponse, decode_store_response
from app.adapters.senders.dimse.messages import StoreForm
from app.adapters.upper_layer import ConnectionLost, PduConnection, TimeLimits, abort, release
from app.dicom.network import pdu
from app.dicom.network.reasons import what
from app.domain.destination import DicomDestination
from app.domain.errors import PermanentError
from app.domain.records import record
from app.domain.study import EncodedInstance

Syntaxes: TypeAlias = tuple[str, str]  # SOP class UID, transfer syntax UID

WINDOW: Final = pdu.OperationsWindow(invoked=16, performed=1)  # that we propose: we only ever invoke
_WINDOW_BYTES: Final = 1 << 22  # unanswered instances that are larger together gain nothing and cost memory
_ABORT_SECONDS: Final = 0.1  # for a peer that may have stopped reading
_LONGEST_ANSWER: Final = 1 << 14  # bytes of its command set

_NO_REASON, _TRANSFER_SYNTAX_NOT_SUPPORTED = 2, 4
_CONTEXT_RESULTS = {  # PS3.8 section 9.3.3.2
    1: "rejected by the user",
    _NO_REASON: "rejected without a reason",
    3: "abstract syntax not supported",
    _TRANSFER_SYNTAX_NOT_SUPPORTED: "transfer syntaxes not supported",
}


class AssociationFault(Exception):
    """A fault of transport: refused, rejected for now, lost, aborted, silent. The text is a clause about the peer."""


class RejectedForNow(AssociationFault):
    """The peer rejected the association as transient: its limit of associations, or congestion."""


@record(frozen=True, slots=True)
class _Request:
    """A C-STORE that was begun and has no answer."""

    form: StoreForm
    sop_instance_uid: str
    size: int


class Association:
    """An established association; used by one thread at a time. A fault leaves it unusable: abort it.

    Up to ``window`` C-STOREs may wait for their answers, which may come in any order (PS3.7 annex D.3.3.3).
    """

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
        self._window = _granted(accept.window)
        self._limits = limits
        self._forms: dict[tuple[str, str, int], StoreForm] = {}
        self._message_id = 0
        self._unanswered: dict[int, _Request] = {}  # by message ID, oldest first; one that met a fault stays
        self._unanswered_bytes = 0
        self._waits_since = 0.0
        self._values: deque[pdu.DataValue] = deque()  # that came and were not looked at

    @property
    def is_settled(self) -> bool:
        """Nothing is half done."""
        return not self._unanswered and not self._values

    @property
    def is_usable(self) -> bool:
        """Nothing is half done, and the peer has not ended it."""
        return self.is_settled and self._connection.is_quiet()

    @property
    def has_room(self) -> bool:
        """Whether another C-STORE may be sent before an answer is received."""
        unanswered = len(self._unanswered)
        return not unanswered or (unanswered < self._window and self._unanswered_bytes < _WINDOW_BYTES)

    def proposed(self, syntaxes: Syntaxes) -> bool:
        """Whether this pair was among the presentation contexts that were asked for."""
        return syntaxes in self._results

    def send(self, instance: EncodedInstance, deadline: float) -> int:
        """Send a C-STORE-RQ, for which there is room; its message ID.

        Raises:
            AssociationFault: the association is lost; the peer may have stored the instance or not.
            PermanentError: the peer rejected the presentation context; nothing was sent.
        """
        message_id = self._next_message_id()
        try:
            form = self._form(instance)
            parts = form.request(message_id, instance.sop_instance_uid, instance.data)
            request = _Request(form, instance.sop_instance_uid, len(instance.data))
            self._unanswered[message_id] = request
            self._unanswered_bytes += request.size
            self._connection.send(parts, deadline, self._limits.network)
        except (ConnectionLost, pdu.PduError) as error:
            raise AssociationFault(str(error)) from error
        self._waits_since = time.monotonic()
        return message_id

    def receive(self, deadline: float) -> StoreResponse:
        """The next answer, whatever it says, to any C-STORE that waits for one; at least one does.

        Raises:
            AssociationFault: no valid answer came; the peer may have stored the instances or not.
        """
        try:
            response = self._receive_response(min(deadline, self._waits_since + self._limits.dimse))
        except TimeoutError as error:
            raise AssociationFault("no answer to a C-STORE in time") from error
        except (ConnectionLost, pdu.PduError) as error:
            raise AssociationFault(str(error)) from error
        self._unanswered_bytes -= self._unanswered.pop(response.message_id).size
        if self._unanswered:
            self._waits_since = time.monotonic()
        return response

    def release(self) -> None:
        """End it in good order; closes the connection whatever the peer does."""
        release(self._connection, self._limits.release)

    def abort(self) -> None:
        """End it at once, also one that a fault left unusable."""
        abort(self._connection, min(self._limits.release, _ABORT_SECONDS))

    # --- Requests -----------------------------------------------------------------------------------------------------

    def _next_message_id(self) -> int:
        """1 to 65535 and round again; none that still waits for its answer."""
        message_id = self._message_id % 0xFFFF + 1
        while message_id in self._unanswered:
            message_id = message_id % 0xFFFF + 1
        self._message_id = message_id
        return message_id

    def _form(self, instance: EncodedInstance) -> StoreForm:
        key = (instance.sop_class_uid, instance.transfer_syntax_uid, len(instance.sop_instance_uid))
        form = self._forms.get(key)
        if form is None:
            context_id = self._accepted(key[:2])
            form = StoreForm(context_id, self._peer_max_pdu, instance.sop_class_uid, len(instance.sop_instance_uid))
            self._forms[key] = form
        return form

    def _accepted(self, syntaxes: Syntaxes) -> int:
        result = self._results[syntaxes]
        if result == 0:
            return self._context_ids[syntaxes]
        sop_class, transfer_syntax = (UID(uid).name for uid in syntaxes)
        raise PermanentError(
            f"{self._destination}: presentation context {sop_class} in {transfer_syntax}: "
            f"{_CONTEXT_RESULTS.get(result, f'result {result}')} (let the archive accept it, or send another modality)"
        )

    # --- Answers ------------------------------------------------------------------------------------------------------

    def _receive_response(self, deadline: float) -> StoreResponse:
        """The next answer, to a request that waits for one; its command set may come in several fragments."""
        if self._values:
            return self._decode_response(deadline)
        encoded = self._connection.receive_encoded(deadline)
        message_id, request = next(iter(self._unanswered.items()))  # most peers answer in order
        if request.form.is_success(encoded, message_id, request.sop_instance_uid):
            return StoreResponse(message_id, 0, "")
        self._values.extend(self._data_values(encoded, deadline))
        is_whole = len(self._values) == 1 and self._values[0].is_command and self._values[0].is_last
        response = self._decode_response(deadline)
        if is_whole:
            request = self._unanswered[response.message_id]
            request.form.learn(encoded, response, request.sop_instance_uid)
        return response

    def _decode_response(self, deadline: float) -> StoreResponse:
        """The answer that begins with the values at hand, or with the next one."""
        command = bytearray()
        while True:
            while self._values:
                value = self._values.popleft()
                command += value.data
                if value.is_command and value.is_last:
                    return self._checked(decode_store_response(command))
            if len(command) > _LONGEST_ANSWER:
                raise AssociationFault("an answer without end")
            self._values.extend(self._data_values(self._connection.receive_encoded(deadline), deadline))

    def _data_values(self, encoded: bytes, deadline: float) -> tuple[pdu.DataValue, ...]:
        received = pdu.decode(encoded[0], encoded[pdu.HEADER_SIZE :])
        if isinstance(received, pdu.DataTransfer):
            return received.values
        if isinstance(received, pdu.ReleaseRequest):
            self._connection.send([pdu.ReleaseResponse().encode()], deadline, self._limits.release)
        raise AssociationFault(f"{what(received)} in place of an answer to a C-STORE")

    def _checked(self, response: StoreResponse) -> StoreResponse:
        if response.message_id not in self._unanswered:
            expected = ", ".join(map(str, self._unanswered))
            raise AssociationFault(f"an answer to message {response.message_id}, not {expected}")
        return response


def _granted(window: pdu.OperationsWindow | None) -> int:
    """Requests that may be under way: what the acceptor answered to ``WINDOW``, where 0 is no limit of its own."""
    if window is None:
        return 1
    return min(window.invoked or WINDOW.invoked, WINDOW.invoked)


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
