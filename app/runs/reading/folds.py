"""All that a run's events come to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from app.domain.event import RUN_STATE, RecordedEvent
from app.domain.metrics import RunMetrics, StageFigures, WorkerShare
from app.domain.run import RunState
from app.runs.reading.course import CourseFold
from app.runs.reading.progress import ProgressFold
from app.runs.reading.summary import SummaryFold


@dataclass(slots=True)
class Folds:
    """Folds events one by one, each exactly once and in the feed's order."""

    progress: ProgressFold
    summary: SummaryFold = field(init=False)
    state: RunState = RunState.PENDING

    def __post_init__(self) -> None:
        progress = self.progress
        self.summary = SummaryFold(CourseFold(lambda: progress.depths))

    def apply(self, recorded: RecordedEvent) -> None:
        event = recorded.event
        if event.kind == RUN_STATE:
            self.state = RunState(event.data["state"])
        self.summary.apply(recorded)  # before the progress, of which its course asks how it was before this event
        self.progress.apply(event)

    def metrics(self) -> RunMetrics:
        """As far as the run has come."""
        return RunMetrics(tuple(self._stages()), self.summary.course.intervals(), tuple(self._workers()))

    def _stages(self) -> Iterator[StageFigures]:
        latencies = self.summary.latency | {f"step.{type_}": each for type_, each in self.summary.steps.items()}
        for stage, latency in sorted(latencies.items()):
            if latency.count:
                yield StageFigures(stage, latency.count, **latency.summary(), histogram=latency.encode())

    def _workers(self) -> Iterator[WorkerShare]:
        for name, figures in sorted(self.summary.workers.items()):
            if figures.first is not None and figures.last is not None:
                yield WorkerShare(name, figures.jobs, figures.busy_seconds, figures.first, figures.last)
