"""What a producer works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.domain.destination import Hl7Destination
from app.ports import ArchiveQuery, Broker, Database, OrderLedger, OrderSender, StepSource, StudyStore, Tracing
from app.util.addresses import Resolve, resolve


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a producer looks at what goes on beside its orders, in seconds."""

    housekeeping: float = 1.0  # between two looks at parked jobs, and at what the run waits for
    sweep: float = 5.0  # between two looks for jobs that nobody will run by themselves
    quiet: float = 30.0  # the queues must have been empty that long before a job without a message counts as lost
    stall: float = 30.0  # without an end of anything before the run says what it waits for
    probe: float = 1.0  # between two questions to an order receiver that is away


@dataclass(frozen=True, slots=True)
class Parts:
    """The adapters and settings of a producer. ``inline`` is in-process: it carries the steps it does itself."""

    database: Database
    broker: Broker
    inline: Broker
    steps: StepSource
    studies: StudyStore
    archive: ArchiveQuery
    ledger: OrderLedger
    open_sender: Callable[[Hl7Destination], OrderSender]
    order_queue: str
    backpressure_mark: int
    lease_seconds: float
    reconcile_within: float
    rhythm: Rhythm = field(default_factory=Rhythm)
    resolve: Resolve = resolve
    tracing: Tracing | None = None

    @property
    def is_embedded(self) -> bool:
        """Queue and workers are this process: whatever a dead one had of the run is nobody's."""
        return self.broker is self.inline
