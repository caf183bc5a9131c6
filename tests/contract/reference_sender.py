"""A study sender on pynetdicom, the independent implementation that ours must agree with: slow, an association each."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context
from pynetdicom.association import Association

from app.adapters.senders.dimse.command import store_outcome
from app.dicom.part10 import write_part10
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, PermanentError, TransportFault
from app.domain.study import EncodedInstance, StoreResult

_PERMANENT = 1  # result of an A-ASSOCIATE-RJ, PS3.8 section 9.3.4


class ReferenceSender:
    """See ``app.ports.StudySender``, without what only matters at length: nothing is kept from study to study."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        return [self._store(destination, instance, deadline, should_stop) for instance in instances]

    def close(self) -> None:
        pass

    def _store(
        self,
        destination: DicomDestination,
        instance: EncodedInstance,
        deadline: float,
        should_stop: Callable[[], bool],
    ) -> StoreResult:
        for _ in range(2):
            started = time.monotonic()
            assoc = self._associate(destination, instance, deadline)
            answer = assoc.send_c_store(dcmread(BytesIO(write_part10(instance) + bytes(instance.data))))
            if "Status" in answer:
                assoc.release()
                return _result(instance, answer, time.monotonic() - started)
            assoc.abort()
            if should_stop():
                break
        raise OutcomeUnknown(f"{destination}: no answer; the archive may have the instance")

    def _associate(self, destination: DicomDestination, instance: EncodedInstance, deadline: float) -> Association:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise TransportFault(f"{destination}: no time left")
        ae = AE(destination.calling_aet)
        ae.connection_timeout = ae.acse_timeout = ae.network_timeout = remaining
        ae.dimse_timeout = min(remaining, 5.0)  # it may lose an answer of a fast peer: then again
        contexts = [build_context(instance.sop_class_uid, instance.transfer_syntax_uid)]
        tls_args = (self._tls, destination.host) if self._tls and destination.tls else None
        assoc = ae.associate(
            destination.host, destination.port, contexts=contexts, ae_title=destination.aet, tls_args=tls_args
        )
        if assoc.is_established:
            return assoc
        if assoc.is_rejected:
            permanent = assoc.acceptor.primitive.result == _PERMANENT
            raise TransportFault(f"{destination}: association rejected", misconfigured=permanent)
        for context in assoc.rejected_contexts:
            raise PermanentError(f"{destination}: {context.abstract_syntax.name}: {context.status}")
        raise TransportFault(f"{destination}: no association")


def _result(instance: EncodedInstance, answer: Dataset, seconds: float) -> StoreResult:
    status, comment = int(answer.Status), str(answer.get("ErrorComment", ""))
    return StoreResult(instance.sop_instance_uid, status, store_outcome(status), seconds, len(instance.data), comment)
