"""StudySender over our own DIMSE: C-STORE on pooled associations."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import NoReturn, Self

from app.adapters.senders.dimse.association import Association, AssociationFault, Syntaxes, TimeLimits
from app.adapters.senders.dimse.command import DUPLICATE_SOP_INSTANCE, store_outcome
from app.adapters.senders.dimse.pool import AssociationPool, Lease, PoolLimits
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, TemporaryError, TransportFault
from app.domain.study import EncodedInstance, StoreResult
from app.util.addresses import Resolve, resolve


class DimseStudySender:
    """Stores studies by C-STORE; see ``app.ports.StudySender`` for the contract.

    Associations are shared by the threads of the process and kept from study to study (see ``pool``). One that is lost
    may be no fault of the destination, which may have closed it because it was idle: its instance is sent once more,
    with the same UID, on another one. A destination that gives no association, or loses that one too, has a fault, and
    waiting for it is the caller's affair. Should the archive say of an instance that was sent before that it has it
    (0x0111), it was ours: the outcome is ``stored``, with the status as it came.
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
            return [session.store(instance) for instance in instances]

    def close(self) -> None:
        """Release the kept associations; a ``store`` that is under way ends when it needs another one."""
        self._pool.close()


class _StudySession:
    """One study on its way over one association, or over several where they are lost."""

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
        self._answers = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def store(self, instance: EncodedInstance) -> StoreResult:
        """The archive's answer to this instance.

        Raises:
            OutcomeUnknown: none came, and the archive may have the instance.
            TransportFault: the instance never left.
            TemporaryError: the time was over although the archive answered.
            PermanentError: presentation context rejected.
        """
        lost: AssociationFault | None = None  # the association that this instance was sent on before
        while True:
            try:
                association = self._association((instance.sop_class_uid, instance.transfer_syntax_uid))
            except AssociationFault as fault:
                self._fail(fault, lost)
            started = time.monotonic()
            try:
                response = association.store(instance, self._deadline)
            except AssociationFault as fault:
                self._give_back()
                if lost is not None or self._is_over():
                    self._fail(fault, lost or fault)
                lost = fault
                continue
            self._answers += 1
            seconds = time.monotonic() - started
            was_ours = lost is not None and response.status == DUPLICATE_SOP_INSTANCE
            outcome = "stored" if was_ours else store_outcome(response.status)
            return StoreResult(
                instance.sop_instance_uid, response.status, outcome, seconds, len(instance.data), response.comment
            )

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
        """``lost``: what the instance was sent on before, or now, and got no answer on."""
        if self._answers and time.monotonic() >= self._deadline:
            text = f"{self._destination}: not done in time: {self._answers} instances were answered, then {fault}"
            raise TemporaryError(text) from fault
        reasons = "; then ".join(dict.fromkeys(str(each) for each in (lost, fault) if each is not None))
        if lost is None:
            raise TransportFault(f"{self._destination}: {reasons}") from fault
        raise OutcomeUnknown(f"{self._destination}: {reasons}; the archive may have the instance") from fault
