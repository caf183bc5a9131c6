"""The producer: runs one run from whatever state it is in to its end, under a lease.

    PENDING ── preflight ── RUNNING ── every order sent ── WAITING_ON_WORKERS ── every order ended ── RECONCILING
       RUNNING or WAITING_ON_WORKERS ── pause asked for ── PAUSED ── resume asked for ── back
       any of these ── cancel asked for ── CANCELLING ── every order ended, stored ones reconciled ── CANCELLED

Everything it needs to go on is in the rows, so it makes no difference which producer does. How each phase works is in
``phases``; the lease, which also sees that somebody asked for something, in ``lease``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from app.domain.run import Run
from app.domain.template import Template
from app.runs.parts import Parts
from app.runs.producing.lease import Lease
from app.runs.producing.phases import Phases
from app.runs.reading.folds import Folds
from app.runs.reading.follow import FeedFollower
from app.runs.reading.progress import ProgressFold


def _heard_by_nobody(text: str) -> None:
    """Its event and its log line tell."""


class Producer:
    """Runs one run."""

    def __init__(self, parts: Parts, run: Run, template: Template, checks: Sequence[Callable[[], None]] = ()) -> None:
        """``template`` is the run's own, with every destination filled in.

        ``checks`` are called while the run is waited for: each raises when a part that the run needs has died.
        """
        self._parts = parts
        self._run = run
        self._template = template
        self._checks = checks
        self.folds = Folds(ProgressFold(run.requested))
        self.on_note: Callable[[str], None] = _heard_by_nobody  # hears what holds the run up

    def produce(self, leaving: threading.Event | None = None) -> Run:
        """Run it to its end; the run as it ended. ``leaving``: set from outside to have it left to others.

        Raises:
            Conflict: another producer runs it, or it has already ended.
            LeaseLost: another producer took it over; nothing was written since.
            HandedOver: it was left to others, as was asked for.
            RuntimeError: a thread that the run needs died, which is a defect.
        """
        with Lease(self._parts.database, self._run.id, self._parts.lease_seconds, leaving) as lease:
            return self.produce_under(lease)

    def produce_under(self, lease: Lease) -> Run:
        """As ``produce``, under a lease that is held already."""
        feed = self._parts.database.feed
        follower = FeedFollower(feed, self._run.id, self.folds.apply, lease.check_whether_to_stay)
        checks = [*self._checks, follower.check]
        phases = Phases(self._parts, self._run, self._template, lease, follower, self.folds, checks, self.on_note)
        follower.start()
        try:
            return phases.run()
        finally:
            follower.stop()
