"""When a job is tried again: a policy of attempts and delays, on the rungs of one ladder for all.

A delay is rounded up to a rung, so that what a template asks for and what happens are the same few figures everywhere:
in validation, in the events and in the broker's and the database's own tools.
"""

from __future__ import annotations

from app.domain.records import record

RUNGS = (1.0, 2.0, 4.0, 8.0, 30.0, 120.0, 600.0)  # seconds
FAULT_DELAY = RUNGS[0]  # after a transport fault: the destination's breaker, not the job, decides about longer waits
LOST_STARTS_TO_ISOLATE = 2  # starts without a verdict before a job runs in a process of its own
MAX_CRASHES = 3  # processes of its own that it may end, so five with the workers it took before
MAX_LOST_STARTS = 20  # starts without a verdict, whatever the reason


@record(frozen=True, slots=True)
class RetryPolicy:
    """A step's policy; delays in seconds. ``patience``: how long to wait for a destination that gives no verdict."""

    max_attempts: int = 3
    first_delay: float = 1.0
    factor: float = 2.0
    cap: float = 600.0
    patience: float = 3600.0

    def delay_after(self, attempts: int) -> float | None:
        """Seconds to wait after that many verdicts (1 and up); None when there is to be no further attempt."""
        if attempts >= self.max_attempts:
            return None
        return rung(min(self.first_delay * self.factor ** (attempts - 1), self.cap))

    @property
    def delays(self) -> tuple[float, ...]:
        """The waits between the attempts."""
        return tuple(delay for attempts in range(1, self.max_attempts) if (delay := self.delay_after(attempts)))


def rung(seconds: float) -> float:
    """The shortest rung that is not shorter; the longest one for more than that."""
    return next((step for step in RUNGS if step >= seconds), RUNGS[-1])
