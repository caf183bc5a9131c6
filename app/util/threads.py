"""Threads whose death is noticed: what ended one is raised where its work is waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)


class WatchedThread(threading.Thread):
    """A daemon thread. An exception that its target lets through is a defect: it is logged, and kept for ``check``."""

    def __init__(self, target: Callable[[], None], name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            super().run()
        except BaseException as error:
            self.failure = error
            logger.exception("thread %s died", self.name)

    def check(self) -> None:
        """Raises RuntimeError when the thread died."""
        if self.failure is not None:
            raise RuntimeError(f"thread {self.name} died: {self.failure!r}") from self.failure
