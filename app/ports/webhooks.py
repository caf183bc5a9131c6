"""Telling others of a run's end: what is still to be told, and how it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from app.domain.webhook import Webhook


@dataclass(frozen=True, slots=True)
class DueWebhook:
    """The end of an epoch that is ours to tell now. ``attempt`` counts from 1, and is what nobody else has."""

    run_id: str
    epoch: int
    attempt: int
    webhook: Webhook
    body: dict[str, Any]


class Webhooks(Protocol):
    """Ends that are to be told (of a unit of work). Times are the database's."""

    def add(self, run_id: str, epoch: int, body: dict[str, Any], head_start: float) -> None:
        """To be told at once by who runs the run, and after ``head_start`` seconds by anybody."""
        ...

    def take(self, run_id: str | None = None) -> DueWebhook | None:
        """One that is due, of any run or of one that we have run; ours until its attempt must be over."""
        ...

    def waiting(self, run_id: str) -> bool:
        """Whether there is anything left to tell of the run, now or later."""
        ...

    def postpone(self, due: DueWebhook, seconds: float) -> bool:
        """Due again after so long. False: it was not ours any more."""
        ...

    def remove(self, due: DueWebhook) -> bool:
        """It was told, or is given up. False: it was not ours any more."""
        ...


class WebhookSender(Protocol):
    """Asks a webhook's address. Thread-safe."""

    def post(self, webhook: Webhook, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer, whatever it is; ``headers`` beside the webhook's own.

        Raises:
            Unavailable: there was no answer within the webhook's time; the text says why.
        """
        ...
