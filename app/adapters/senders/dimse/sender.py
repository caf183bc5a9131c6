"""StudySender over our own DIMSE: C-STORE on pooled associations, as many at a time on each as its peer allows."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import NoReturn, Self

from app.adapters.senders.dimse.association import Association, AssociationFault, Syntaxes
from app.adapters.senders.dimse.command import DUPLICATE_SOP_INSTANCE, StoreResponse, store_outcome
from app.adapters.senders.dimse.pool import AssociationPool, Lease, PoolLimits
from app.adapters.upper_layer import TimeLimits
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, TemporaryError, TransportFault
from app.domain.study import EncodedInstance, StoreResult
from app.util.addresses import Resolve, resolve


class DimseStudySender:
    """Stores studies by C-STORE; see ``app.ports.StudySender`` for the contract.

    Associations are shared by the threads of the process and kept from study to study (see ``pool``). One that is lost
    may be no fault of the destination, which may have closed it because it was idle: its instance is sent once more,
    with the same UID, on another one, as are all others that it left unanswered. A destination that gives no
    association, or loses that one too, has a fault, and waiting for it is the caller's affair. Should the archive say
    of an instance that was sent before that it has it (0x0111), it was ours: the outcome is ``stored``, with the status
    as it came.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        time_limits: TimeLimits | None = None,
        pool_limits: PoolLimits | None = None,
        resolve: Resolve = resolve,
    ) -> None:
        """``tls`` is used for destinations that ask for TLS."""
        self._pool = AssociationPool(tls, time_limits or TimeLimits(), pool_limits or PoolLimits(), resolve)

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        with _StudySession(self._pool, destination, deadline, should_stop) as session:
            return session.store(instances)

    def close(self) -> None:
        """Release the kept associations; a ``store`` that is under way ends when it needs another one."""
        self._pool.close()


@dataclass(slots=True, eq=False)
class _Transfer:
    """An instance that has no answer yet."""

    position: int  # in the study, from 0
    instance: EncodedInstance
    sent_at: float = 0.0
    lost: AssociationFault | None = None  # the association that it was sent on before

    @property
    def syntaxes(self) -> Syntaxes:
        return self.instance.sop_class_uid, self.instance.transfer_syntax_uid


class _StudySession:
    """One study on its way over one association, or over several where they are lost.

    An instance is taken from the study when it can be sent, and let go when it is answered.
    """

    def __init__(
        self,
        pool: AssociationPool,
        destination: DicomDestination,
        deadline: float,
        should_stop: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._destination = destination
        self._deadline = deadline
        self._should_stop = should_stop
        self._lease: Lease | None = None
        self._waiting: deque[_Transfer] = deque()  # to be sent, first come, first served
        self._sent: dict[int, _Transfer] = {}  # on the present association, by message ID, oldest first
        self._results: dict[int, StoreResult] = {}  # by position

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._settle()
        self._give_back()

    def store(self, instances: Iterable[EncodedInstance]) -> list[StoreResult]:
        """The archive's answers, in order.

        Raises:
            OutcomeUnknown: to some none came, and the archive may have the instance.
            TransportFault: an instance never left.
            TemporaryError: the time was over although the archive answered.
            PermanentError: presentation context rejected.
        """
        for position, instance in enumerate(instances):
            self._waiting.append(_Transfer(position, instance))
            while self._waiting or not self._has_room:
                self._advance()
        while self._waiting or self._sent:
            self._advance()
        return [self._results[position] for position in range(len(self._results))]

    @property
    def _has_room(self) -> bool:
        """Whether the next instance can be sent, of whatever kind."""
        return self._lease is None or self._lease.association.has_room

    def _advance(self) -> None:
        """Send the next instance, or receive the next answer where that has to come first."""
        if self._waiting and self._may_send(self._waiting[0].syntaxes):
            self._send(self._waiting.popleft())
        else:
            self._receive()

    def _may_send(self, syntaxes: Syntaxes) -> bool:
        """An association that lacks the presentation context is replaced, but not before its answers have come."""
        if self._lease is None or not self._sent:
            return True
        return self._lease.association.has_room and self._lease.association.proposed(syntaxes)

    def _send(self, transfer: _Transfer) -> None:
        try:
            association = self._association(transfer.syntaxes)
        except AssociationFault as fault:
            losses = (each.lost for each in (transfer, *self._waiting) if each.lost is not None)
            self._fail(fault, next(losses, fault if self._sent else None))
        transfer.sent_at = time.monotonic()
        try:
            message_id = association.send(transfer.instance, self._deadline)
        except AssociationFault as fault:
            self._lose([*self._sent.values(), transfer], fault)
        else:
            self._sent[message_id] = transfer

    def _receive(self) -> None:
        assert self._lease is not None  # what was sent was sent on it
        try:
            response = self._lease.association.receive(self._deadline)
        except AssociationFault as fault:
            self._lose(list(self._sent.values()), fault)
            return
        transfer = self._sent.pop(response.message_id)
        self._results[transfer.position] = _result(transfer, response)

    def _lose(self, unanswered: list[_Transfer], fault: AssociationFault) -> None:
        """The association is lost: send what it left unanswered once more, in order, and before anything else."""
        self._sent.clear()
        self._give_back()
        before = next((transfer.lost for transfer in unanswered if transfer.lost is not None), None)
        if before is not None or self._is_over():
            self._fail(fault, before or fault)
        for transfer in unanswered:
            transfer.lost = fault
        self._waiting.extendleft(reversed(unanswered))

    def _settle(self) -> None:
        """The study has failed: the answers that are due leave the association to the next study, and close no case."""
        while self._sent and self._lease is not None:
            try:
                self._sent.pop(self._lease.association.receive(self._deadline).message_id)
            except AssociationFault:
                return

    def _association(self, syntaxes: Syntaxes) -> Association:
        if time.monotonic() >= self._deadline:
            raise AssociationFault("no time left")
        if self._lease is not None and not self._lease.association.proposed(syntaxes):
            self._pool.replace(self._lease)
            self._lease = None
        if self._lease is None:
            self._lease = self._pool.acquire(self._destination, syntaxes, self._deadline)
        return self._lease.association

    def _give_back(self) -> None:
        if self._lease is not None:
            lease, self._lease = self._lease, None
            self._pool.give_back(lease)

    def _is_over(self) -> bool:
        return time.monotonic() >= self._deadline or self._should_stop()

    def _fail(self, fault: AssociationFault, lost: AssociationFault | None) -> NoReturn:
        """``lost``: what an instance was sent on before, or now, and got no answer on."""
        if self._results and time.monotonic() >= self._deadline:
            text = f"{self._destination}: not done in time: {len(self._results)} instances were answered, then {fault}"
            raise TemporaryError(text) from fault
        reasons = "; then ".join(dict.fromkeys(str(each) for each in (lost, fault) if each is not None))
        if lost is None:
            raise TransportFault(f"{self._destination}: {reasons}") from fault
        raise OutcomeUnknown(f"{self._destination}: {reasons}; the archive may have the instance") from fault


def _result(transfer: _Transfer, response: StoreResponse) -> StoreResult:
    was_ours = transfer.lost is not None and response.status == DUPLICATE_SOP_INSTANCE
    outcome = "stored" if was_ours else store_outcome(response.status)
    seconds = time.monotonic() - transfer.sent_at
    instance = transfer.instance
    return StoreResult(
        instance.sop_instance_uid, response.status, outcome, seconds, len(instance.data), response.comment
    )
