"""The worker's taker: receives jobs and claims them in groups, more than there are hands.

A claim counts as a start, even if the worker ends before a hand gets to the job. So a job that was delivered before,
whose last worker may have ended because of it or just beside it, is claimed only when a hand is free for it: then
nothing but being run can make it suspicious (``app.runs.working.isolation``).

What is not granted is acknowledged: the job is done, somebody else's, or its row will have it published again. A
message that is no job becomes a dead letter.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from app.domain.errors import Unavailable
from app.domain.job import Job, decode_job
from app.domain.records import record
from app.domain.work import Claim, ClaimRequest, NewDeadLetter
from app.ports import Database, Delivery, StepSource
from app.runs.working.dead_queue import not_a_job
from app.runs.working.desk import Claimed, Desk
from app.runs.working.execute import destination_of
from app.runs.working.gathering import Gathering
from app.runs.working.inbox import RETRY, Inbox
from app.runs.working.reach import Reach

log = structlog.get_logger()

LOOK = 0.02  # seconds between two looks at what has come meanwhile


@dataclass(frozen=True, slots=True)
class ClaimTerms:
    """How jobs are claimed: in whose name, for how many seconds, and for how many hands."""

    worker: str
    lease_seconds: float
    hands: int


@record(frozen=True, slots=True)
class _Received:
    delivery: Delivery
    job: Job
    request: ClaimRequest


class Taker:
    def __init__(
        self, terms: ClaimTerms, inbox: Inbox, desk: Desk, database: Database, steps: StepSource, reach: Reach
    ) -> None:
        self._terms = terms
        self._inbox = inbox
        self._reach = reach
        self._gathering = Gathering()
        self._desk = desk
        self._database = database
        self._steps = steps
        self._again: list[Delivery] = []  # delivered before, and not yet claimed by us

    def work(self) -> None:
        """Until the worker stops."""
        while not self._desk.stopping.is_set():
            deliveries = self._for_free_hands() if self._to_claim_again() else self._next()
            if deliveries:
                self._take(deliveries)
        self._inbox.give_back(self._again)

    def _next(self) -> list[Delivery]:
        """A group of messages that are delivered for the first time; the others wait for free hands."""
        reach = self._reach
        self._inbox.hold(reach.holds)
        room = self._desk.wait_for_room(reach.low, reach.capacity)
        received = self._gather(room) if room else []
        self._again += [delivery for delivery in received if delivery.redelivered]
        return [delivery for delivery in received if not delivery.redelivered]

    def _gather(self, room: int) -> list[Delivery]:
        """What there is; while hands have something to do, or jobs keep coming, also what comes within a moment."""
        received = self._inbox.receive(room, self._desk.stopping)
        until = time.monotonic() + self._gathering.seconds
        may_wait = bool(received) and (self._desk.to_run > 0 or self._gathering.is_flowing)
        while may_wait and len(received) < room and time.monotonic() < until:
            self._desk.stopping.wait(LOOK)
            received += self._inbox.receive(room - len(received), self._desk.stopping, patience=0.0)
        return received

    def _to_claim_again(self) -> list[Delivery]:
        """But for jobs that we have: their messages came again because we lost the broker, not they their worker.

        Nor is a job claimed by a message that went back to its queue while it waited here: by then the worker that
        got it next may have begun.
        """
        if not self._again:
            return []
        self._again = self._inbox.still_ours(self._again)
        ours = {claimed.job.id for claimed in self._desk.held}
        return [delivery for delivery in self._again if delivery.message_id not in ours]

    def _for_free_hands(self) -> list[Delivery]:
        free = self._desk.wait_for_room(self._terms.hands - 1, self._terms.hands)
        again = self._to_claim_again()[:free]  # not those from before the wait, which may have gone back during it
        for delivery in again:
            self._again.remove(delivery)
        return again

    def give_back(self, claimed: Sequence[Claimed]) -> None:
        """Claimed, and not begun: others may have them."""
        if not claimed:
            return
        try:
            with self._database.transaction() as work:
                work.jobs.give_up([(each.request, each.claim) for each in claimed])
        except Unavailable as error:
            # Their messages come again marked as redelivered, and such a job can be claimed again.
            log.warning("claims not given up", reason=str(error))
        self._inbox.give_back([each.delivery for each in claimed])
        self._desk.remove(claimed)

    def drop(self, claimed: Claimed) -> None:
        """Claimed, and overtaken before it was begun: its row, or a message of its own, has it done by another."""
        log.warning("not begun, another worker has the job", job=claimed.job.id)
        self._inbox.acknowledge([claimed.delivery])
        self._desk.remove([claimed])

    def _take(self, deliveries: Sequence[Delivery]) -> None:
        received: list[_Received] = []
        refused: list[Delivery] = []
        letters: list[NewDeadLetter] = []
        for delivery in deliveries:
            try:
                received.append(self._read(delivery))
            except ValueError as error:
                refused.append(delivery)
                letters.append(not_a_job(delivery, str(error), self._terms.worker))
        claims = self._claim(received, letters)
        if claims is None:
            self._inbox.give_back(deliveries)
            return
        now = time.monotonic()
        granted: list[Claimed] = []
        for each, claim in zip(received, claims, strict=True):
            if claim.granted:
                granted.append(Claimed(each.delivery, each.job, each.request, claim, now))
            else:
                log.info("not run", job=each.job.id, reason=claim.refusal, redelivered=each.request.redelivered)
                refused.append(each.delivery)
        self._desk.put(granted)
        self._inbox.acknowledge(refused)

    def _read(self, delivery: Delivery) -> _Received:
        job = decode_job(delivery.body)
        indexes = tuple(entry.index for entry in job.own_steps)
        destination = destination_of(job, self._steps)
        request = ClaimRequest(
            job.run_id, job.order_number, indexes, job.epoch, delivery.redelivered, destination=destination
        )
        return _Received(delivery, job, request)

    def _claim(self, received: list[_Received], letters: list[NewDeadLetter]) -> list[Claim] | None:
        """Waits for a database that is away; None when the worker stops before it is back."""
        requests = [each.request for each in received]
        while True:
            try:
                with self._gathering.transaction(), self._database.transaction() as work:
                    if letters:
                        work.dead_letters.add(letters)
                    return work.jobs.claim(requests, self._terms.worker, self._terms.lease_seconds)
            except Unavailable as error:
                log.warning("waiting for the database", reason=str(error))
                # The commit may have been done and its answer lost: what we have claimed must be ours to claim again.
                requests = [replace(request, redelivered=True) for request in requests]
                if self._desk.stopping.wait(RETRY):
                    return None
