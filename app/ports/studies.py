"""Sending, finding and keeping studies: DICOM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from app.domain.destination import DicomDestination
from app.domain.study import ArchivedStudy, EncodedInstance, StoreResult


class StudySender(Protocol):
    """Stores instances by C-STORE. Thread-safe; associations are kept and reused by the adapter."""

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        """Store each instance; one result an instance, in order, whatever the archive answered.

        An instance whose association is lost is sent once more, with the same UID, on another one, unless ``deadline``
        (``time.monotonic()`` seconds) has passed or ``should_stop`` says so. Longer waiting is for whoever calls.

        Raises:
            TransportFault: the destination has a fault; the text says what came back.
            OutcomeUnknown: as above, and the archive may have an instance that was not answered for.
            TemporaryError: the deadline passed although the archive answered.
            PermanentError: the archive will never take it (no presentation context).
        """
        ...

    def close(self) -> None: ...


class ArchiveQuery(Protocol):
    """Asks an archive what it has."""

    def echo(self, destination: DicomDestination) -> None:
        """C-ECHO. Raises Unavailable with the reason."""
        ...

    def studies(self, destination: DicomDestination, run_key: str, orders: int) -> Iterator[ArchivedStudy]:
        """All studies whose accession number begins with the run key (C-FIND, study root, study level).

        Raises:
            NotAnswerable: the peer does not offer query.
            Unavailable: it could not be reached, or failed in the middle.
        """
        ...


class StudyStore(Protocol):
    """Keeps generated studies between steps that may run on different workers."""

    def write(self, run_id: str, order_number: int, instances: Iterable[EncodedInstance]) -> tuple[int, int]:
        """Write all instances, whole or not at all; writing again replaces. Returns (instances, bytes).

        Raises:
            TransportFault, Unavailable: there is no room for it, or no way to write it, at the moment.
        """
        ...

    def read(self, run_id: str, order_number: int) -> Iterator[EncodedInstance]:
        """The instances in the order they were written.

        Raises:
            NotFound: the study is not there; known before the first instance is handed out.
            TemporaryError: (while iterating) it was removed, or can't be read any more.
            Unavailable: the store can't be reached, now or while iterating.
        """
        ...

    def remove(self, run_id: str, order_number: int | None = None) -> None:
        """Remove a study, or all of a run; nothing to do when it is not there."""
        ...

    def free_bytes(self) -> int | None:
        """Room that is left; None where nobody can tell, as of a bucket."""
        ...
