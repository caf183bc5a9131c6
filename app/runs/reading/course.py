"""The course of a run over time: what happened in each interval, in so few of them that they can be drawn and kept.

Intervals are a quarter of a second long at first. When there are too many, two neighbours become one, and so on: a run
of a minute has 240 of them, one of a day some 170 of 8.5 minutes. Latencies are merged, never averaged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from app.domain import event as kinds
from app.domain.event import Event
from app.domain.metrics import Depths, Interval
from app.util.latency import SmallLatency

MOST = 240  # intervals
FINEST = 0.25  # seconds
COUNTS = ("emitted", "acknowledged", "completed", "failed", "cancelled", "retried", "jobs", "instances", "bytes")

_Count = Callable[[dict[str, int], dict[str, Any]], None]


@dataclass(slots=True)
class _Counted:
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    latency: defaultdict[str, SmallLatency] = field(default_factory=lambda: defaultdict(SmallLatency))
    depths: Depths | None = None  # when it was last heard of them

    def merge(self, later: _Counted) -> None:
        for name, count in later.counts.items():
            self.counts[name] += count
        for stage, latency in later.latency.items():
            self.latency[stage].merge(latency)
        self.depths = later.depths or self.depths


class CourseFold:
    """Folds events one by one, each exactly once."""

    def __init__(self, depths: Callable[[], Depths]) -> None:
        """``depths`` without the event that is being counted: they are asked for when the course leaves an interval."""
        self._depths = depths
        self._width = FINEST
        self._end = MOST * FINEST  # seconds, of the last interval that there may be
        self._counted: dict[int, _Counted] = {}  # by the interval's number
        self._latest: _Counted | None = None  # that of the latest event, without its depths

    def count(self, seconds: float, event: Event) -> None:
        """``seconds`` since the run began."""
        if event.order_number is None:
            return
        counted = self._at(seconds)
        if counted is not self._latest:
            self._leave()
            self._latest = counted
        count = _BY_KIND.get(event.kind)
        if count is not None:
            count(counted.counts, event.data)

    def observe(self, seconds: float, stage: str, latency: float) -> None:
        """How long a stage took, of something that ended then."""
        self._at(seconds).latency[stage].record(latency)

    def intervals(self) -> tuple[Interval, ...]:
        """All of them up to the latest, those without events too."""
        self._leave()
        depths = Depths(0, 0, 0)
        intervals = []
        for number in range(max(self._counted, default=-1) + 1):
            counted = self._counted.get(number, _Counted())
            depths = counted.depths or depths
            latency = {stage: each.summary() for stage, each in sorted(counted.latency.items())}
            begins = number * self._width
            intervals.append(
                Interval(
                    number=number,
                    begins=begins,
                    seconds=self._width,
                    latency=latency,
                    **depths._asdict(),
                    **counted.counts,
                )
            )
        return tuple(intervals)

    def _at(self, seconds: float) -> _Counted:
        while seconds >= self._end:
            self._widen()
        number = int(seconds / self._width)
        counted = self._counted.get(number)
        if counted is None:
            counted = self._counted[number] = _Counted()
            self._pack(number - 2)  # events do not come strictly in the order of their times
        return counted

    def _pack(self, number: int) -> None:
        if number in self._counted:
            for latency in self._counted[number].latency.values():
                latency.pack()

    def _leave(self) -> None:
        if self._latest is not None:
            self._latest.depths = self._depths()
            self._latest = None

    def _widen(self) -> None:
        self._leave()
        self._width *= 2
        self._end *= 2
        finer, self._counted = self._counted, {}
        for number in sorted(finer):
            self._counted.setdefault(number // 2, _Counted()).merge(finer.pop(number))
            self._pack(number // 2)


def _count_step(counts: dict[str, int], data: dict[str, Any]) -> None:
    match data["type"]:
        case "GENERATE_HL7":
            counts["emitted"] += data["attempts"] > 0
            counts["acknowledged"] += data["verdict"] == "accepted"
        case "SEND_DICOM":
            counts["instances"] += data.get("stored", 0)
            counts["bytes"] += data.get("bytes", 0)


def _one(name: str) -> _Count:
    def count(counts: dict[str, int], data: dict[str, Any]) -> None:
        counts[name] += 1

    return count


_BY_KIND: Final[dict[str, _Count]] = {
    kinds.STEP_SUCCEEDED: _count_step,
    kinds.STEP_FAILED: _count_step,
    kinds.STEP_RETRIED: _one("retried"),
    kinds.JOB_FINISHED: _one("jobs"),
    kinds.ORDER_COMPLETED: _one("completed"),
    kinds.ORDER_FAILED: _one("failed"),
    kinds.ORDER_CANCELLED: _one("cancelled"),
}
