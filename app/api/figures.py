"""The figures of runs: as they were kept at the end, or folded from the feed, each time only what is new."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from app.domain.metrics import RunMetrics
from app.domain.run import Run
from app.ports import Database
from app.runs.reading.folds import Folds
from app.runs.reading.progress import ProgressFold

PAGE = 2000
FRESH = 1.0  # seconds in which figures are not made anew
KEPT = 16  # folds; the ones not asked for the longest are dropped, and made again when they are


@dataclass(slots=True)
class _Live:
    folds: Folds
    cursor: str | None = None
    metrics: RunMetrics | None = None  # as they were a moment ago, for all who ask meanwhile
    metrics_until: float = 0.0  # time.monotonic()
    turn: threading.Lock = field(default_factory=threading.Lock)


class LiveFigures:
    """Thread-safe.

    Raises (all methods): Unavailable when the database can't be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lives: OrderedDict[str, _Live] = OrderedDict()
        self._turn = threading.Lock()

    def summary(self, run: Run) -> dict[str, Any]:
        """The run's final summary, or its figures so far; those have no reconciliation and no thresholds yet."""
        if run.summary is not None:
            return run.summary
        live = self._live(run)
        with live.turn:
            self._read_on(run.id, live)
            fold = live.folds.summary
            summary = fold.summary(run, fold.clock.since_begin(datetime.now(UTC)))
        return summary | {"reconciliation": None, "thresholds": []}

    def metrics(self, run: Run) -> RunMetrics:
        """By stage, over time and by worker: as they were kept, or so far."""
        if run.state.is_terminal:
            with self._database.transaction() as work:
                kept = work.figures.get(run.id, run.epoch)
            if kept is not None:
                self._forget(run)
                return kept
        live = self._live(run)
        with live.turn:
            if live.metrics is None or time.monotonic() >= live.metrics_until:
                self._read_on(run.id, live)
                live.metrics = live.folds.metrics()
                live.metrics_until = time.monotonic() + FRESH
            return live.metrics

    def _forget(self, run: Run) -> None:
        """Its figures are kept now; the fold of a long run is large."""
        with self._turn:
            self._lives.pop(run.id, None)

    def _read_on(self, run_id: str, live: _Live) -> None:
        more = True
        while more:
            events, live.cursor = self._database.feed.read(run_id, live.cursor, PAGE)
            for event in events:
                live.folds.apply(event)
            more = len(events) == PAGE

    def _live(self, run: Run) -> _Live:
        with self._turn:
            live = self._lives.get(run.id)
            if live is None:
                live = self._lives[run.id] = _Live(Folds(ProgressFold(run.requested)))
            self._lives.move_to_end(run.id)
            if len(self._lives) > KEPT:
                self._lives.popitem(last=False)
            return live
