"""Summaries of runs that have none yet: folded from the feed, each time only what is new."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.domain.run import Run
from app.ports import EventFeed
from app.runs.reading.summary import SummaryFold

PAGE = 2000
KEPT = 16  # folds; the ones not asked for the longest are dropped, and made again when they are


@dataclass(slots=True)
class _Live:
    fold: SummaryFold = field(default_factory=SummaryFold)
    cursor: str | None = None
    turn: threading.Lock = field(default_factory=threading.Lock)


class LiveSummaries:
    """Thread-safe."""

    def __init__(self, feed: EventFeed) -> None:
        self._feed = feed
        self._lives: OrderedDict[str, _Live] = OrderedDict()
        self._turn = threading.Lock()

    def of(self, run: Run) -> dict[str, Any]:
        """The run's final summary, or its figures so far; those have no reconciliation and no thresholds yet.

        Raises:
            Unavailable: the feed can't be read.
        """
        if run.summary is not None:
            return run.summary
        live = self._live(run.id)
        with live.turn:
            more = True
            while more:
                events, live.cursor = self._feed.read(run.id, live.cursor, PAGE)
                for event in events:
                    live.fold.apply(event)
                more = len(events) == PAGE
            summary = live.fold.summary(run, _wall_seconds(run))
        return summary | {"reconciliation": None, "thresholds": []}

    def _live(self, run_id: str) -> _Live:
        with self._turn:
            live = self._lives.setdefault(run_id, _Live())
            self._lives.move_to_end(run_id)
            if len(self._lives) > KEPT:
                self._lives.popitem(last=False)
            return live


def _wall_seconds(run: Run) -> float:
    if run.started_at is None:
        return 0.0
    return max(((run.finished_at or datetime.now(UTC)) - run.started_at).total_seconds(), 0.0)
