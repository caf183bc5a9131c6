"""A run's own time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.event import RUN_STATE, RecordedEvent
from app.domain.run import RunState


@dataclass(slots=True)
class RunClock:
    """From the first RUNNING to the latest event, by the events' own times: whoever took the run over knows no others.

    Without the time between the end of an epoch and the reopening of the run.
    """

    begun: datetime | None = None
    latest: datetime | None = None
    ended: datetime | None = None
    between: timedelta = timedelta()
    _zero: datetime | None = None  # when it would have begun without the time in between

    def apply(self, recorded: RecordedEvent) -> None:
        if self.latest is None or recorded.at > self.latest:
            self.latest = recorded.at
        if recorded.event.kind == RUN_STATE:
            self._state(RunState(recorded.event.data["state"]), recorded.at)

    def _state(self, state: RunState, at: datetime) -> None:
        if state is RunState.RUNNING and self.begun is None:
            self.begun = at
        if self.ended is not None and not state.is_terminal:
            self.between += at - self.ended
        self.ended = at if state.is_terminal else None
        self._zero = None if self.begun is None else self.begun + self.between

    @property
    def seconds(self) -> float:
        """0 for a run that never began."""
        return 0.0 if self.latest is None else self.since_begin(self.latest)

    def since_begin(self, moment: datetime) -> float:
        """Seconds of the run up to a moment of its present epoch."""
        return 0.0 if self._zero is None or moment <= self._zero else (moment - self._zero).total_seconds()
