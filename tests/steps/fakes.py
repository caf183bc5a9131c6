"""A study sender that answers as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from app.domain.destination import DicomDestination
from app.domain.study import EncodedInstance, StoreOutcome, StoreResult


@dataclass
class FakeStudySender:
    outcome: StoreOutcome = "stored"
    status: int = 0x0000
    comment: str = ""
    outcomes: list[StoreOutcome] = field(default_factory=list)  # of the first instances
    stored: list[str] = field(default_factory=list)

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        results = []
        outcomes = iter(self.outcomes)
        for instance in instances:
            uid, size = instance.sop_instance_uid, len(instance.data)
            self.stored.append(uid)
            outcome = next(outcomes, self.outcome)
            results.append(StoreResult(uid, self.status, outcome, 0.001, size, self.comment))
        return results

    def close(self) -> None:
        pass
