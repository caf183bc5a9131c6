"""StudySender over our own DIMSE: C-STORE on pooled associations, repeated until the archive has given its verdict."""

from __future__ import annotations

import random
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Final, NoReturn, Self

import structlog

from app.adapters.senders.dimse.association import Association, AssociationFault, Syntaxes, TimeLimits
from app.adapters.senders.dimse.command import DUPLICATE_SOP_INSTANCE, store_outcome
from app.adapters.senders.dimse.pool import AssociationPool, Lease, PoolLimits
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, TemporaryError
from app.domain.study import EncodedInstance, StoreResult

log = structlog.get_logger()

_FIRST_DELAY: Final = 0.1
_LONGEST_DELAY: Final = 5.0
_TELL_AFTER: Final = 3.0  # seconds
_LOOK: Final = 0.25  # seconds between two looks whether it is over
OUTAGE_LIMIT: Final = 60.0  # seconds that a destination may be away before studies stop waiting for it


class DimseStudySender:
    """Stores studies by C-STORE; see ``app.ports.StudySender`` for the contract.

    Associations are shared by the threads of the process and kept from study to study (see ``pool``). An instance whose
    answer was lost is sent again with the same UID. Should the archive then say that it has it (0x0111), it was ours:
    the outcome is ``stored``, with the status as it came.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        time_limits: TimeLimits | None = None,
        pool_limits: PoolLimits | None = None,
        outage_limit: float = OUTAGE_LIMIT,
    ) -> None:
        """``tls`` is used for destinations that ask for TLS; ``outage_limit`` is in seconds."""
        self._pool = AssociationPool(tls, time_limits or TimeLimits(), pool_limits or PoolLimits())
        self._outages = Outages(outage_limit)
        self._closed = threading.Event()

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        def is_over() -> bool:
            return self._closed.is_set() or should_stop()

        with _StudySession(self._pool, self._outages, destination, deadline, is_over) as session:
            return [session.store(instance) for instance in instances]

    def close(self) -> None:
        """Release the kept associations; a ``store`` that is under way ends at its next fault with TemporaryError."""
        self._closed.set()
        self._pool.close()


class Outages:
    """How long each destination has answered nobody in this process: the threads' common knowledge, and a log line."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: dict[str, float] = {}
        self._told: set[str] = set()

    def fault(self, destination: DicomDestination, reason: str) -> bool:
        """Note a fault; True when it has been away for longer than the limit, so that one attempt a study is enough."""
        name, now = str(destination), time.monotonic()
        away = now - self._since.setdefault(name, now)
        if away > _TELL_AFTER and name not in self._told:
            self._told.add(name)
            log.warning("the archive does not answer; studies wait for it", destination=name, reason=reason)
        return away > self._limit

    def answered(self, destination: DicomDestination) -> None:
        name = str(destination)
        if self._since.pop(name, None) is not None and name in self._told:
            self._told.discard(name)
            log.warning("the archive answers again", destination=name)


class _StudySession:
    """One study on its way over one association, or over several where they fail."""

    def __init__(
        self,
        pool: AssociationPool,
        outages: Outages,
        destination: DicomDestination,
        deadline: float,
        is_over: Callable[[], bool],
    ) -> None:
        self._pool = pool
        self._outages = outages
        self._is_over = is_over
        self._destination = destination
        self._deadline = deadline
        self._started = time.monotonic()
        self._lease: Lease | None = None
        self._faults = 0  # since the last answer
        self._reasons: deque[str] = deque(maxlen=3)  # the latest different ones; the deadline itself may cause the last

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def store(self, instance: EncodedInstance) -> StoreResult:
        """The archive's answer to this instance, over as many transmissions as it takes.

        Raises:
            OutcomeUnknown: the deadline passed, and the archive may have the instance.
            TemporaryError: the deadline passed, and the instance never left.
            PermanentError: association or presentation context rejected for good.
        """
        sent_before = False
        while True:
            try:
                association = self._association((instance.sop_class_uid, instance.transfer_syntax_uid))
            except AssociationFault as fault:
                self._pause(fault, sent_before)
                continue
            started = time.monotonic()
            try:
                response = association.store(instance, self._deadline)
            except AssociationFault as fault:
                self._give_back()
                sent_before = True
                self._pause(fault, sent_before)
                continue
            self._faults = 0
            self._reasons.clear()
            self._outages.answered(self._destination)
            seconds = time.monotonic() - started
            status = response.status
            outcome = store_outcome(status)
            if sent_before and status == DUPLICATE_SOP_INSTANCE:
                outcome = "stored"
            return StoreResult(
                instance.sop_instance_uid, status, outcome, seconds, len(instance.data), response.comment
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

    def _pause(self, fault: AssociationFault, sent_before: bool) -> None:
        """Wait before the next attempt: 0.1 s, doubled up to 5 s, less up to half of it so that threads spread out."""
        self._faults += 1
        if str(fault) not in self._reasons:
            self._reasons.append(str(fault))
        delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(self._faults - 1, 10)) * random.uniform(0.5, 1.0)
        until = time.monotonic() + delay
        if until >= self._deadline or self._outages.fault(self._destination, str(fault)):
            self._fail(fault, sent_before)
        while (left := until - time.monotonic()) > 0:
            if self._is_over():
                self._fail(fault, sent_before)
            time.sleep(min(left, _LOOK))

    def _fail(self, fault: AssociationFault, sent_before: bool) -> NoReturn:
        seconds = time.monotonic() - self._started
        reasons = "; then ".join(self._reasons)
        text = f"{self._destination}: {reasons} (given up after {self._faults} attempts in {seconds:.0f} s)"
        if sent_before:
            raise OutcomeUnknown(f"{text}; the archive may have the instance") from fault
        raise TemporaryError(text) from fault
