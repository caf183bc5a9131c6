"""The course of a run over time: what happened in each interval, in so few of them that they can be drawn and kept.

Intervals are a quarter of a second long at first. When there are too many, two neighbours become one, and so on: a run
of a minute has 240 of them, one of a day some 170 of 8.5 minutes. Latencies are merged, never averaged.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from app.domain import event as kinds
from app.domain.event import Event
from app.domain.metrics import Depths, Interval
from app.util.latency import SmallLatency

MOST = 240  # intervals
FINEST = 0.25  # seconds
COUNTS = ("emitted", "acknowledged", "completed", "failed", "cancelled", "retried", "jobs", "instances", "bytes")


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

    def __init__(self) -> None:
        self._width = FINEST
        self._counted: defaultdict[int, _Counted] = defaultdict(_Counted)  # by the interval's number

    def count(self, seconds: float, event: Event, depths: Depths) -> None:
        """``seconds`` since the run began; ``depths`` with this event applied."""
        if event.order_number is None:
            return
        counted = self._at(seconds)
        counted.depths = depths
        _count(event, counted)

    def observe(self, seconds: float, stage: str, latency: float) -> None:
        """How long a stage took, of something that ended then."""
        self._at(seconds).latency[stage].record(latency)

    def intervals(self) -> tuple[Interval, ...]:
        """All of them up to the latest, those without events too."""
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
        while seconds >= MOST * self._width:
            self._widen()
        return self._counted[int(seconds / self._width)]

    def _widen(self) -> None:
        self._width *= 2
        finer, self._counted = self._counted, defaultdict(_Counted)
        for number in sorted(finer):
            self._counted[number // 2].merge(finer[number])


def _count(event: Event, counted: _Counted) -> None:
    counts, data = counted.counts, event.data
    match event.kind:
        case kinds.STEP_SUCCEEDED | kinds.STEP_FAILED:
            _count_step(counts, data)
        case kinds.STEP_RETRIED:
            counts["retried"] += 1
        case kinds.JOB_FINISHED:
            counts["jobs"] += 1
        case kinds.ORDER_COMPLETED:
            counts["completed"] += 1
        case kinds.ORDER_FAILED:
            counts["failed"] += 1
        case kinds.ORDER_CANCELLED:
            counts["cancelled"] += 1


def _count_step(counts: dict[str, int], data: dict[str, Any]) -> None:
    match data["type"]:
        case "GENERATE_HL7":
            counts["emitted"] += data["attempts"] > 0
            counts["acknowledged"] += data["verdict"] == "accepted"
        case "SEND_DICOM":
            counts["instances"] += data.get("stored", 0)
            counts["bytes"] += data.get("bytes", 0)
