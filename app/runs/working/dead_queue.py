"""Dead messages: those that are no jobs, and those that the broker gave up.

The broker moves a message to its dead queue when it has come back too often, because the workers that held it ended.
The row knows better whether the job is dead: it counts the starts of which nothing was heard again, and the worker that
claims the job once too often finishes it as dead ("undeliverable"). So a job that is unfinished goes back into its
run's outbox; everything else is acknowledged, or kept as a dead letter when it is no job. A run that has no producer
publishes nothing: what is in its outbox waits for the one that takes it over.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from app.domain.errors import Unavailable
from app.domain.job import Job, decode_job
from app.domain.retry import rung
from app.domain.work import Death, JobReference, NewDeadLetter, OutboxEntry
from app.ports import DEAD_QUEUE, Broker, Database, Delivery, UnitOfWork
from app.runs.working.desk import Desk
from app.runs.working.inbox import RETRY, Inbox

log = structlog.get_logger()

MAX_BODY = 64 * 1024  # bytes of a message that is kept
DELAY = rung(2.0)  # seconds before a job that the broker gave up is published again
GROUP = 50


def not_a_job(delivery: Delivery, reason: str, worker: str) -> NewDeadLetter:
    """The letter of a message that nobody can run."""
    queue = delivery.origin or delivery.queue
    log.error("not a job", queue=queue, message_id=delivery.message_id, reason=reason)
    body = delivery.body[:MAX_BODY].decode("utf-8", "replace")
    return NewDeadLetter(queue, delivery.message_id, body, Death("not_a_job", reason), worker)


class DeadQueue:
    """Empties the broker's dead queue."""

    def __init__(self, broker: Broker, desk: Desk, database: Database, worker: str) -> None:
        self._inbox = Inbox(broker, [DEAD_QUEUE], GROUP)
        self._desk = desk
        self._database = database
        self._worker = worker

    def open(self) -> None:
        """Raises Unavailable when the broker can't be reached."""
        self._inbox.open()

    def close(self) -> None:
        self._inbox.close()

    def work(self) -> None:
        """Until the worker stops."""
        while not self._desk.stopping.is_set():
            deliveries = self._inbox.receive(GROUP, self._desk.stopping)
            if deliveries and self._settle(deliveries):
                self._inbox.acknowledge(deliveries)

    def _settle(self, deliveries: Sequence[Delivery]) -> bool:
        """Waits for a database that is away; False when the worker stops before it is back."""
        jobs, letters = self._read(deliveries)
        while True:
            try:
                with self._database.transaction() as work:
                    work.dead_letters.add(letters)
                    work.outbox.put([entry for job in jobs if (entry := _again(work, job))])
                return True
            except Unavailable as error:
                log.warning("waiting for the database", reason=str(error))
                if self._desk.stopping.wait(RETRY):
                    return False

    def _read(self, deliveries: Sequence[Delivery]) -> tuple[list[Job], list[NewDeadLetter]]:
        """The jobs in the order of their rows, so that two workers that lock them can't wait for each other."""
        jobs: list[Job] = []
        letters: list[NewDeadLetter] = []
        for delivery in deliveries:
            try:
                jobs.append(decode_job(delivery.body))
            except ValueError as error:
                letters.append(not_a_job(delivery, str(error), self._worker))
            else:
                log.warning("given up by the broker", job=jobs[-1].id, queue=delivery.origin, cause=delivery.cause)
        return sorted(jobs, key=lambda job: (job.run_id, job.order_number)), letters


def _again(work: UnitOfWork, job: Job) -> OutboxEntry | None:
    """What is left of the job, to be published again; None when nothing is."""
    reference = work.jobs.unfinished(job.run_id, job.order_number, job.slip[0].index, job.epoch)
    if reference is None:
        return None
    return OutboxEntry.of(job.continued_at(_position(job, reference)), DELAY, reference.starts)


def _position(job: Job, reference: JobReference) -> int:
    return next(position for position, entry in enumerate(job.slip) if entry.index == reference.step_index)
