"""Ctrl-C and SIGTERM, which are the same to us: somebody wants the program to end cleanly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from app.cli.exit_codes import INTERRUPTED

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """How often the person has asked to stop."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """The first SIGTERM raises KeyboardInterrupt while the block runs, as Ctrl-C does. Only for the main thread."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the clean end is under way
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, earlier)


@contextmanager
def counted_interrupts(before_exit: Callable[[], None]) -> Iterator[Interrupts]:
    """Count interrupts while the block runs; the second one calls ``before_exit`` and ends the process with 130.

    A handler runs between any two instructions of the main thread, which may hold a lock just then: it counts, and
    leaves the work to the loop that reads the count. Only for the main thread.
    """
    interrupts = Interrupts()

    def note(signum: int, frame: FrameType | None) -> None:
        interrupts.count += 1
        if interrupts.count > 1:
            before_exit()
            os._exit(INTERRUPTED)

    earlier = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield interrupts
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
