"""Jobs that wait without a message: given back when what they wait for has come.

A pause is over when the run goes on, a reopened job waits for nothing but a producer, and a destination that is away is
asked with one job at a time, by all producers together, until it answers. What an operator parked an operator frees.
"""

from __future__ import annotations

from app.domain.run import RunState
from app.domain.work import PAUSE, PURGED, REOPENED, DestinationRow, DestinationState
from app.ports import UnitOfWork
from app.runs.jobs import JobBuilder
from app.runs.producing.lease import Lease
from app.runs.producing.notes import Notes

_GOING_ON = (RunState.RUNNING, RunState.WAITING_ON_WORKERS)
GROUP = 200  # jobs that are given back in one transaction


def destination_name(key: str) -> str:
    """A destination's key as people know it."""
    kind, _, address = key.partition(":")
    return f"{'the archive' if kind == 'dicom' else 'the order receiver'} {address}"


class Parking:
    """The parked jobs of one run. ``archive``: the key of the archive that its jobs go to now."""

    def __init__(self, lease: Lease, builder: JobBuilder, notes: Notes, archive: str) -> None:
        self._lease = lease
        self._builder = builder
        self._notes = notes
        self._archive = archive
        self._away: set[str] = set()  # destinations that people were told of

    def look(self) -> None:
        """Give back what may go on. Raises Unavailable when the database is away."""
        parked, state = self._lease.attempt(lambda work, state: (work.jobs.parked(self._lease.run_id), state))
        jobs = dict.fromkeys(self._away, 0) | {count.waiting_for: count.jobs for count in parked}
        for waiting_for, count in jobs.items():
            if waiting_for.startswith(PURGED):
                continue
            if waiting_for not in (PAUSE, REOPENED):
                self._look_at_destination(waiting_for, count)
            elif state is not RunState.PAUSED:
                self._release_all(waiting_for)

    def _release_all(self, waiting_for: str) -> None:
        while self._lease.attempt(lambda work, state: self._release_group(work, state, waiting_for)) == GROUP:
            pass

    def _look_at_destination(self, key: str, jobs: int) -> None:
        """Have the jobs that wait for it go on, or one of them find out whether they may."""
        row = self._lease.attempt(lambda work, state: self._probe(work, state, key, jobs))
        if row is not None and row.state is DestinationState.OPEN:
            self._away.add(key)
            reason = f" ({row.reason})" if row.reason else ""
            text = f"{destination_name(key)} does not answer{reason}: {jobs} jobs wait; asking every 5 s"
            self._notes.begin(key, text)
            return
        if key in self._away:
            self._notes.end(key, f"{destination_name(key)} answers again")
            self._away.discard(key)
        self._release_all(key)

    def _probe(self, work: UnitOfWork, state: RunState, key: str, jobs: int) -> DestinationRow | None:
        """How the destination stands (None: nobody needs to know); where it is away, one job may go and see."""
        row = work.destinations.get(key) if key == self._archive else None
        is_away = row is not None and row.state is DestinationState.OPEN
        if is_away and jobs and state in _GOING_ON and work.destinations.may_probe(key):
            self._release_group(work, state, key, limit=1, is_probe=True)
        return row

    def _release_group(
        self, work: UnitOfWork, state: RunState, waiting_for: str, limit: int = GROUP, is_probe: bool = False
    ) -> int:
        """How many were given back; none to a run that is paused or cancelled meanwhile."""
        if state not in _GOING_ON:
            return 0
        jobs = work.jobs.release(self._lease.run_id, waiting_for, limit, probe=is_probe)
        work.outbox.put(self._builder.entries(jobs))
        return len(jobs)
