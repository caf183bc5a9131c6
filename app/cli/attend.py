"""Attending a run: its progress is shown until it has ended, and the person may stop it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.cli.display import Display, RunFigures
from app.cli.interrupts import counted_interrupts
from app.cli.output import note
from app.domain.errors import Conflict, Unavailable

TICK = 0.1  # seconds between two looks

CANCELLING = "cancelling: what is under way is finished and reconciled; press again to stop at once"


class RunUnderWay(Protocol):
    """A run that somebody else works on."""

    def wait(self, seconds: float) -> bool:
        """Wait for its end, not longer; whether it has ended."""
        ...

    def figures(self) -> RunFigures: ...

    def cancel(self) -> None:
        """Ask it to stop. Raises Conflict when it has ended, Unavailable when it can't be asked now."""
        ...


def attend(run: RunUnderWay, display: Display, before_exit: Callable[[], None]) -> None:
    """Show the run's progress until it has ended; an interrupt cancels it, a second one ends this process at once."""

    def leave() -> None:
        display.abandon()
        before_exit()

    told = cancelled = False
    with counted_interrupts(leave) as interrupts:
        while not run.wait(TICK):
            if interrupts.count and not cancelled:
                cancelled = _cancel(run)
            if interrupts.count and not told:
                note(CANCELLING, style="yellow")
                told = True
            display.show(run.figures())


def _cancel(run: RunUnderWay) -> bool:
    """Whether the run has taken note; a service that is away is asked again."""
    try:
        run.cancel()
    except Conflict:  # it has ended by itself
        return True
    except Unavailable:
        return False
    return True
