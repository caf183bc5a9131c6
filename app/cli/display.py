"""Progress on stderr: a live line on a terminal, a plain line now and then anywhere else."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.cli.output import err, note

STDERR = 2
PLAIN_INTERVAL = 5.0  # seconds between two plain lines


@dataclass(frozen=True, slots=True)
class RunFigures:
    """Where a run is; counts are of orders, ``queued`` of jobs that are published and not finished."""

    phase: str
    requested: int
    emitted: int
    completed: int
    failed: int
    cancelled: int
    queued: int

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled

    def __str__(self) -> str:
        parts = [f"{self.emitted} sent", f"{self.completed} done"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.cancelled} cancelled"] if self.cancelled else []
        parts += [f"{self.queued} jobs queued"] if self.queued else []
        return ", ".join(parts)


class Display(Protocol):
    def show(self, figures: RunFigures) -> None:
        """Take note of new figures; called a few times a second."""
        ...

    def abandon(self) -> None:
        """Leave the terminal as it was, from a signal handler, right before the process ends."""
        ...


@contextmanager
def run_display() -> Iterator[Display]:
    """The display that suits stderr."""
    if not err().is_terminal or err().is_dumb_terminal:
        yield PlainDisplay()
        return
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),  # last: a narrow terminal cuts it off
    )
    with Progress(*columns, console=err(), transient=True, refresh_per_second=5) as progress:
        yield LiveDisplay(progress)


class LiveDisplay:
    """A bar of orders that have ended, and the counts."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("starting", total=None, text="")

    def show(self, figures: RunFigures) -> None:
        self._progress.update(
            self._task,
            description=figures.phase,
            total=figures.requested,
            completed=figures.ended,
            text=f"{figures.ended}/{figures.requested} orders: {figures}",
        )

    def abandon(self) -> None:
        os.write(STDERR, b"\x1b[?25h\n")  # the cursor, which the live display hides


class PlainDisplay:
    """A line when the phase changes and every few seconds."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._next = self._begun + PLAIN_INTERVAL
        self._phase = ""

    def show(self, figures: RunFigures) -> None:
        now = time.monotonic()
        if figures.phase == self._phase and now < self._next:
            return
        self._phase, self._next = figures.phase, now + PLAIN_INTERVAL
        note(f"{now - self._begun:7.1f} s  {figures.phase}: {figures} of {figures.requested} orders")

    def abandon(self) -> None:
        pass
