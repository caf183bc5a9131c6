"""One message on its way, what may be answered to it, and how often it is tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

Verdict = Literal["accepted", "error", "rejected"]
End = Verdict | Literal["unknown", "unreachable"]

Detail = TypeVar("Detail")


class Answer(NamedTuple, Generic[Detail]):
    """What an answer means for the message it answers: ``error`` may be tried again, ``rejected`` not.

    ``detail`` is for whoever classified it.
    """

    verdict: Verdict
    detail: Detail


Classify = Callable[[bytes, str], Answer[Detail] | None]
"""The meaning of a received message for the one in flight, named by its control ID.

None: it answers something else, so it is ignored and the wait goes on. ValueError, with a text: it can't be read, so
the outcome is unknown.
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """How many connections, how long to wait (seconds) and how often to try."""

    connections: int = 8
    answer_timeout: float = 10.0  # from the first byte sent to the answer
    attempts: int = 3  # transmissions of one message
    resend_unknown: bool = True  # also when it may have arrived; only for receivers that tell repeats apart
    resend_delay: float = 0.2  # before the second transmission; doubles each time
    connect_attempts: int = 3
    connect_delay: float = 0.2  # before the second attempt; doubles each time
    probe_interval: float = 1.0  # between attempts once connect_attempts have failed


@dataclass(slots=True, eq=False)
class Exchange(Generic[Detail]):
    """A message and, once the client gives it back, what became of it.

    ``verdict`` is ``unknown`` when no valid answer came to the last transmission, and ``unreachable`` when no
    connection could be made for the next one; ``reason`` then says why. ``possibly_duplicated``: it was sent again
    after a transmission of unknown outcome.
    """

    key: int  # the caller's own
    lane: str
    control_id: str
    message: bytes
    verdict: End = "unknown"
    answer: Answer[Detail] | None = None
    answer_message: bytes = b""
    reason: str = ""
    attempts: int = 0  # transmissions that were begun
    timeouts: int = 0  # of these, how many were not answered in time
    errors: int = 0  # and how many were answered with an error
    in_doubt: bool = False  # the outcome of a transmission is unknown
    possibly_duplicated: bool = False
    submitted: float = 0.0  # time.monotonic()
    begun: float = 0.0  # of the first transmission, time.monotonic()
    started: float = 0.0  # of the last transmission, time.monotonic()
    ended: float = 0.0  # when the last one was answered, or the wait for an answer ended, time.monotonic()

    @property
    def wait_seconds(self) -> float:
        """From its submission to its first transmission: until its connection was there and free."""
        return self.begun - self.submitted if self.attempts else 0.0

    @property
    def seconds(self) -> float:
        """From the last transmission to its answer, or to the end of waiting."""
        return self.ended - self.started

    @property
    def total_seconds(self) -> float:
        """From the first transmission to the last answer, or to the end of waiting."""
        return self.ended - self.begun
