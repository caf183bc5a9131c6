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
    stored: list[str] = field(default_factory=list)

    def store(
        self,
        destination: DicomDestination,
        instances: Iterable[EncodedInstance],
        deadline: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[StoreResult]:
        results = []
        for instance in instances:
            self.stored.append(instance.sop_instance_uid)
            size = len(instance.data)
            results.append(StoreResult(instance.sop_instance_uid, self.status, self.outcome, 0.001, size, self.comment))
        return results

    def close(self) -> None:
        pass
