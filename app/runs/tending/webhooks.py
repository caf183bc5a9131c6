"""Telling a run's webhook of its end: at least once, whoever dies meanwhile, and without any bearing on the run.

What is to be told was written together with the run's last state. Whoever takes it has it for the time of one attempt;
if nothing is heard of that, it is another one's turn: the first may have told it, so both send the same
``Idempotency-Key``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from app.domain.errors import Unavailable
from app.domain.event import RUN_NOTE, Event
from app.ports import Database, DueWebhook, WebhookSender

log = structlog.get_logger()

DELAYS = (1.0, 4.0, 10.0)  # seconds before each further attempt
POLL = 0.2
_AGAIN = frozenset((408, 425, 429))  # and all from 500 on: it may be another answer later


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How an attempt ended, for people; ``again``: another one may end otherwise."""

    text: str
    told: bool = False
    again: bool = False


class Courier:
    """Tells webhooks. Thread-safe."""

    def __init__(self, database: Database, sender: WebhookSender, delays: tuple[float, ...] = DELAYS) -> None:
        self._database = database
        self._sender = sender
        self._delays = delays

    def tell_next(self, run_id: str | None = None, listener: Callable[[str], None] = lambda _: None) -> bool:
        """One attempt, for any run or for one that we have run; whether there was anything to do.

        ``listener`` hears how it ended, once it is decided.

        Raises:
            Unavailable: the database is away.
        """
        with self._database.transaction() as work:
            due = work.webhooks.take(run_id)
        if due is None:
            return False
        outcome = self._attempt(due)
        if outcome.again and due.attempt <= len(self._delays):
            log.info("webhook", run_id=due.run_id, attempt=due.attempt, outcome=outcome.text)
            with self._database.transaction() as work:
                work.webhooks.postpone(due, self._delays[due.attempt - 1])
        else:
            self._settle(due, outcome, listener)
        return True

    def tell_of(self, run_id: str, should_stop: Callable[[], bool], listener: Callable[[str], None]) -> None:
        """Tell of a run that we have run, until that is decided; what is not decided is left to others."""
        try:
            while not should_stop():
                if self.tell_next(run_id, listener):
                    continue
                with self._database.transaction() as work:
                    if not work.webhooks.waiting(run_id):
                        return
                time.sleep(POLL)
        except Unavailable as error:
            log.warning("the webhook is left to others", run_id=run_id, reason=str(error))

    def _attempt(self, due: DueWebhook) -> _Outcome:
        body = json.dumps(due.body, ensure_ascii=False).encode("utf-8", "replace")
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": f"{due.run_id}-{due.epoch}",
            "User-Agent": "hl7-yeeter",
        }
        try:
            status = self._sender.post(due.webhook, body, headers)
        except Unavailable as error:
            return _Outcome(str(error), again=True)
        if 200 <= status < 300:
            return _Outcome(f"it answered {status}", told=True)
        return _Outcome(f"it answered {status}", again=status in _AGAIN or status >= 500)

    def _settle(self, due: DueWebhook, outcome: _Outcome, listener: Callable[[str], None]) -> None:
        attempts = f" after {due.attempt} attempts" if due.attempt > 1 else ""
        told = "was told of the run's end" if outcome.told else "could not be told of the run's end"
        text = f"the webhook {due.webhook} {told}{attempts}: {outcome.text}"
        with self._database.transaction() as work:
            if not work.webhooks.remove(due):  # we were so slow that another one has taken it since
                return
            work.journal.append([Event(due.run_id, RUN_NOTE, epoch=due.epoch, data={"text": text})])
        log.info("note", run_id=due.run_id, text=text)
        listener(text)
