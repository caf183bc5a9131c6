"""Who is told of the work that is done, for people to look at: metrics and figures are programs' affairs."""

from __future__ import annotations

from typing import Protocol

from app.domain.work import Claim, JobFinish


class JobObserver(Protocol):
    """Told of each job that this worker has run and written, once, by the thread that writes.

    It takes no more than some microseconds, and raises nothing.
    """

    def finished(self, claim: Claim, finish: JobFinish) -> None: ...
