"""Telling people what holds a run up, as ``run.note`` events, and nothing of it twice."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from app.domain.errors import Unavailable
from app.domain.event import RUN_NOTE, Event
from app.runs.producing.lease import Lease

log = structlog.get_logger()


class Notes:
    """What was told of each topic. Thread-safe; to be told again and again is harmless.

    A note that can't be written now is told at the next occasion, so whoever tells goes on telling.
    """

    def __init__(self, lease: Lease, listener: Callable[[str], None]) -> None:
        """``listener`` hears of each note that was written."""
        self._lease = lease
        self._listener = listener
        self._told: dict[str, str] = {}
        self._turn = threading.Lock()

    def begin(self, topic: str, text: str) -> None:
        """Tell it, unless something of this topic was told and has not ended."""
        with self._turn:
            if topic not in self._told and self._write(text):
                self._told[topic] = text

    def tell(self, topic: str, text: str) -> None:
        """Tell it, unless it was the last thing told of this topic."""
        with self._turn:
            if self._told.get(topic) != text and self._write(text):
                self._told[topic] = text

    def end(self, topic: str, text: str = "") -> None:
        """The topic is over; tell so (where there is a text), if anything of it was told."""
        with self._turn:
            if topic in self._told and (not text or self._write(text)):
                del self._told[topic]

    def write(self, text: str) -> None:
        """Tell it in any case."""
        with self._turn:
            self._write(text)

    def _write(self, text: str) -> bool:
        note = Event(self._lease.run_id, RUN_NOTE, data={"text": text})
        try:
            self._lease.attempt(lambda work, _: work.journal.append([note]))
        except Unavailable as error:
            log.warning("a note was not written", note=text, reason=str(error))
            return False
        log.info("note", run_id=self._lease.run_id, text=text)
        self._listener(text)
        return True
