"""The worker's finisher: writes what the hands have done, in groups, and only then acknowledges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import structlog

from app.domain.errors import Unavailable
from app.domain.work import JobFinish
from app.ports import Database, JobObserver, StudyStore
from app.runs.working.desk import Desk, Done
from app.runs.working.endings import Endings
from app.runs.working.gathering import Gathering
from app.runs.working.inbox import RETRY, Inbox
from app.runs.working.reach import Reach

log = structlog.get_logger()

GROUP = 200


class Finisher:
    def __init__(
        self,
        worker: str,
        inbox: Inbox,
        desk: Desk,
        database: Database,
        studies: StudyStore,
        reach: Reach,
        observers: Iterable[JobObserver] = (),
    ) -> None:
        self._worker = worker
        self._inbox = inbox
        self._desk = desk
        self._database = database
        self._studies = studies
        self._reach = reach
        self._gathering = Gathering()
        self._observers = tuple(observers)
        self.jobs_done = 0

    def work(self) -> None:
        """Until there is nothing more to write."""
        while group := self._next():
            self._settle(group)

    def _next(self) -> list[Done]:
        most = min(GROUP, self._reach.group)
        return self._desk.take_done(most, self._gathering.seconds, self._more_may_come)

    def _more_may_come(self) -> bool:
        """Whether jobs are to be run still, or have kept coming and the broker may bring others before these are done.

        Of the worker's last jobs, none is made to wait for what does not come.
        """
        may_bring = self._desk.to_write < self._reach.group
        return self._desk.to_run > 0 or (may_bring and self._gathering.is_flowing)

    def _settle(self, group: Sequence[Done]) -> None:
        """All together; one by one where something among them can't be written."""
        try:
            self._write(group, [done.finish for done in group])
        except Exception as error:
            if len(group) == 1:
                self._bury(group[0], error)
                return
            log.error("a group of jobs can't be written; each is, by itself", jobs=len(group), reason=repr(error))
            for done in group:
                self._settle([done])

    def _bury(self, done: Done, error: Exception) -> None:
        """The job's own outcome can't be written: that it is dead can. If not even that, the worker ends by it."""
        job, claim = done.claimed.job, done.claimed.claim
        log.error("a job's outcome can't be written, it is dead", job=job.id, reason=repr(error))
        self._write([done], [Endings(job, claim, self._worker).defect(error)])

    def _write(self, group: Sequence[Done], finishes: Sequence[JobFinish]) -> None:
        """Waits for a database that is away, and leaves it when the worker is abandoned."""
        while True:
            try:
                with self._gathering.transaction(), self._database.transaction() as work:
                    kept = work.jobs.finish(finishes)
                break
            except Unavailable as error:
                log.warning("waiting for the database", reason=str(error))
                if self._desk.abandoned.wait(RETRY):
                    return
        for done, finish, ours in zip(group, finishes, kept, strict=True):
            if not ours:
                log.warning("finished too late, another worker has the job", job=done.claimed.job.id)
                continue
            if finish.order_state is not None and not finish.in_memory:
                self._studies.remove(finish.run_id, finish.order_number)
            for observer in self._observers:
                observer.finished(done.claimed.claim, finish)
        self._inbox.acknowledge([done.claimed.delivery for done in group])
        self.jobs_done += len(group)
        self._reach.done([finish.seconds for finish in finishes])
        self._desk.written(group)
