"""What a step type is, and what it works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.domain.destination import DicomDestination
from app.domain.order import Order
from app.domain.records import record
from app.domain.study import EncodedInstance
from app.ports.studies import ArchiveQuery, StudySender, StudyStore


@dataclass(slots=True)
class Handover:
    """What a step leaves for the later ones of its job, in this process's memory; it is gone when the job has ended.

    A job that is begun again after that, here or on another worker, finds nothing: whoever looks here can do without.
    """

    study: Sequence[EncodedInstance] = ()


@record(frozen=True, slots=True)
class StepContext:
    """What a step gets to work with.

    ``following``: the types of the steps after it, where this job runs all that are left of its order; else empty.
    """

    run_id: str
    order: Order
    parameters: dict[str, Any]
    dicom: DicomDestination
    deadline: float  # time.monotonic() seconds
    is_cancelled: Callable[[], bool] = lambda: False  # whether the run is being cancelled; cheap to ask
    earlier_unknown: bool = False  # whether an earlier start may have done part of this step, or all of it
    following: tuple[str, ...] = ()
    handover: Handover = field(default_factory=Handover)


@record(frozen=True, slots=True)
class StepResult:
    """What a step did, for its event; ``wait_seconds`` parks the rest of the job for so long."""

    data: dict[str, Any] = field(default_factory=dict)
    wait_seconds: float = 0.0
    instances_stored: int = 0


class Step(Protocol):
    """One step type. Running it twice must be harmless. Third-party steps register by entry point ``yeeter.steps``."""

    def check(self, parameters: dict[str, Any]) -> None:
        """Raise InvalidInput when a template's parameters for this step are wrong (fields relative to parameters)."""
        ...

    def run(self, context: StepContext) -> StepResult:
        """Do it. Raises TemporaryError, TransportFault or PermanentError with one line a person can act on."""
        ...


class StepSource(Protocol):
    """The step types that this process has."""

    def step(self, type_: str) -> Step:
        """Raises KeyError for a type that this process does not have."""
        ...

    def uses_archive(self, type_: str) -> bool:
        """Whether such a step talks to the order's DICOM destination; False for a type that is not there."""
        ...


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The adapters a step may use; given to a step's factory when the registry is built."""

    studies: StudyStore
    sender: StudySender
    archive: ArchiveQuery
