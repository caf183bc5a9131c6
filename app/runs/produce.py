"""The producer: runs one run from PENDING to its terminal state, under a lease.

    PENDING ── preflight ── RUNNING ── every order sent ── WAITING_ON_WORKERS ── every order ended ── RECONCILING
       any of these ── cancel asked for ── CANCELLING ── every order ended, stored ones reconciled ── CANCELLED

The lease is renewed by a heartbeat thread, which also sees that somebody asked for the run to be cancelled.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from app.domain.errors import Conflict, Unavailable
from app.domain.event import RUN_NOTE, Event
from app.domain.pacing import Pacing
from app.domain.run import OrderState, Run, RunState
from app.domain.template import Template
from app.hl7.ledger_query import RECEIVER
from app.ports import ArchiveQuery, Broker, Database, OrderLedger, OrderSender, StepSource, StudyStore, UnitOfWork
from app.runs.emit import Emission, Emitter
from app.runs.follow import FeedFollower
from app.runs.patience import Result, in_transaction, patiently
from app.runs.preflight import check_destinations, check_room
from app.runs.reconcile import Reconciliation, Witnesses, reconcile
from app.runs.relay import Relay
from app.runs.summary import SummaryFold, judge
from app.util.threads import WatchedThread

log = structlog.get_logger()

POLL = 0.1


@dataclass(frozen=True, slots=True)
class Parts:
    """What a producer works with."""

    database: Database
    broker: Broker
    inline: Broker  # in-process: carries the steps that the producer does itself
    steps: StepSource
    studies: StudyStore
    archive: ArchiveQuery
    ledger: OrderLedger
    open_sender: Callable[[Any], OrderSender]  # Hl7Destination -> sender
    order_queue: str
    backpressure_mark: int
    lease_seconds: float
    reconcile_within: float


class LeaseLost(Conflict):
    """Another producer has taken this run over; this one must not write any more."""


class Heartbeat:
    """Renews the lease; tells when the run is being cancelled, or the lease is lost."""

    def __init__(self, parts: Parts, run_id: str) -> None:
        self._parts = parts
        self._run_id = run_id
        with parts.database.transaction() as work:
            self.fence = work.leases.acquire(run_id, parts.lease_seconds)
        self.cancelling = threading.Event()
        self.lost = threading.Event()
        self._stopping = threading.Event()
        self._thread = WatchedThread(self._loop, f"lease-{run_id[:8]}")
        self._thread.start()

    def check(self) -> None:
        """Raises LeaseLost, or RuntimeError when its thread died, which is a defect."""
        if self.lost.is_set():
            raise LeaseLost("the lease on this run was lost")
        self._thread.check()

    def _loop(self) -> None:
        said = ""
        while not self._stopping.wait(min(0.25, self._parts.lease_seconds / 4)):
            try:
                with self._parts.database.transaction() as work:
                    state = work.leases.renew(self._run_id, self.fence, self._parts.lease_seconds)
                said = ""
                if state is RunState.CANCELLING:
                    self.cancelling.set()
            except Conflict:
                self.lost.set()
                return
            except Unavailable as error:
                # As long as it is away we write nothing either; the next renewal shows whether somebody took over.
                if str(error) != said:
                    log.warning("the lease can't be renewed", run_id=self._run_id, reason=str(error))
                said = str(error)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        try:
            with self._parts.database.transaction() as work:
                work.leases.release(self._run_id, self.fence)
        except Unavailable as error:
            log.warning("the lease was not released, it will run out", run_id=self._run_id, reason=str(error))


class Producer:
    """Runs one run."""

    def __init__(self, parts: Parts, run: Run, template: Template, checks: Sequence[Callable[[], None]] = ()) -> None:
        """``template`` is the run's own, with every destination filled in.

        ``checks`` are called while the run is waited for: each raises when a part that the run needs has died.
        """
        self._parts = parts
        self._database = parts.database
        self._run = run
        self._template = template
        self._checks = list(checks)
        self.fold = SummaryFold()
        self._begun = time.monotonic()

    def produce(self) -> Run:
        """Run it to its end.

        Raises:
            Conflict: another producer runs it (or took it over), or it has already ended.
            RuntimeError: a thread that the run needs died, which is a defect.
        """
        if self._run.state not in (RunState.PENDING, RunState.CANCELLING):
            raise Conflict(f"run {self._run.run_key} is {self._run.state}, only a PENDING run can be started")
        heartbeat = Heartbeat(self._parts, self._run.id)
        follower = FeedFollower(self._parts.database.feed, self._run.id, self.fold.apply)
        follower.start()
        self._checks += [heartbeat.check, follower.check]
        try:
            return self._produce(heartbeat, follower)
        finally:
            follower.stop()
            heartbeat.stop()

    def _produce(self, heartbeat: Heartbeat, follower: FeedFollower) -> Run:
        parts = self._parts
        problems = check_destinations(self._template, parts.archive)
        problems += check_room(self._run, self._template, parts.studies, parts.backpressure_mark)
        if problems:
            return self._fail("; ".join(problems), follower)
        if not self._move_unless_cancelled(RunState.RUNNING):
            return self._after_emission(Emission(), heartbeat, follower)
        relay = Relay(
            self._run.id,
            self._database,
            self._parts.broker,
            self._parts.inline,
            self._parts.backpressure_mark,
            self.fold.jobs["published"],
            lambda: self.fold.jobs["finished"],
        )
        relay.start()
        self._checks.append(relay.check)
        try:
            emission = self._emit(heartbeat)
            return self._after_emission(emission, heartbeat, follower)
        finally:
            relay.stop()

    # --- emission ---

    def _emit(self, heartbeat: Heartbeat) -> Emission:
        sender = self._parts.open_sender(self._template.destinations.hl7)
        try:
            emitter = Emitter(self._run, self._template, sender, self._database, self._parts.order_queue)
            pacing = Pacing(self._template.arrival, time.monotonic)
            return emitter.emit(iter(range(self._run.requested)), pacing, lambda: self._must_stop(heartbeat))
        finally:
            sender.close()

    def _must_stop(self, heartbeat: Heartbeat) -> bool:
        self._check()
        return heartbeat.cancelling.is_set()

    # --- waiting and the end ---

    def _after_emission(self, emission: Emission, heartbeat: Heartbeat, follower: FeedFollower) -> Run:
        if emission.unreachable:
            self._cancel(f"the orders' destination became unreachable: {emission.unreachable}")
        elif not heartbeat.cancelling.is_set():
            self._move_unless_cancelled(RunState.WAITING_ON_WORKERS)
        self._wait_for_orders()
        self._move_unless_cancelled(RunState.RECONCILING)
        reconciliation = self._reconcile(emission)
        return self._conclude(reconciliation, follower, emission.unreachable)

    def _check(self) -> None:
        for check in self._checks:
            check()

    def _wait_for_orders(self) -> None:
        """Until no order is unfinished; a cancelled run's unclaimed orders are cancelled on the way."""
        while True:
            self._check()
            if not self._write(self._is_outstanding):
                return
            time.sleep(POLL)

    def _is_outstanding(self, work: UnitOfWork) -> bool:
        if work.runs.get(self._run.id).state is RunState.CANCELLING:
            work.orders.cancel_waiting(self._run.id)
        return work.jobs.outstanding(self._run.id)

    def _reconcile(self, emission: Emission) -> Reconciliation:
        destinations = self._template.destinations
        sends = any(step.type == "SEND_DICOM" for step in self._template.steps)
        witnesses = Witnesses(
            self._parts.archive,
            destinations.dicom if sends else None,
            self._parts.ledger,
            destinations.hl7 if RECEIVER in emission.ack_senders else None,
        )
        run, within = self._run, self._parts.reconcile_within
        result = patiently(
            lambda: reconcile(self._database.queries, run.id, run.run_key, run.requested, witnesses, within)
        )
        notes = [Event(run.id, RUN_NOTE, data={"text": note}) for note in result.notes]

        def write(work: UnitOfWork) -> None:
            work.journal.find(run.id, run.epoch, result.findings)
            work.journal.append(notes)

        self._write(write)
        return result

    def _conclude(self, reconciliation: Reconciliation, follower: FeedFollower, unreachable: str) -> Run:
        follower.catch_up()
        self._run = self._write(lambda work: self._end(work, reconciliation, unreachable))
        self._parts.studies.remove(self._run.id)
        follower.catch_up()
        return self._run

    def _end(self, work: UnitOfWork, reconciliation: Reconciliation, unreachable: str) -> Run:
        run = work.runs.get(self._run.id, lock=True)
        if run.state.is_terminal:  # ended by a commit whose answer was lost
            return run
        counts = work.orders.counts(run.id)
        end, reason = _end_state(run, counts, unreachable)
        summary = self.fold.summary(run, time.monotonic() - self._begun)
        summary["reconciliation"] = reconciliation.summary()
        verdict, results = judge(summary, self._template.thresholds)
        summary["thresholds"] = [
            {"expression": result.expression, "value": result.value, "met": result.met} for result in results
        ]
        summary["status"], summary["verdict"] = end.value, verdict.value
        work.runs.conclude(run.id, summary, verdict)
        return work.runs.move(run.id, end, reason)

    def _fail(self, reason: str, follower: FeedFollower) -> Run:
        """Nothing was sent: the run fails as it stands."""
        follower.catch_up()

        def end(work: UnitOfWork) -> Run:
            run = work.runs.get(self._run.id, lock=True)
            if run.state.is_terminal:
                return run
            summary = self.fold.summary(run, time.monotonic() - self._begun)
            summary["reconciliation"] = Reconciliation().summary()
            verdict, _ = judge(summary, ())
            summary |= {"status": RunState.FAILED.value, "verdict": verdict.value, "thresholds": []}
            work.runs.conclude(run.id, summary, verdict)
            return work.runs.move(run.id, RunState.FAILED, reason)

        self._run = self._write(end)
        return self._run

    # --- states ---

    def _write(self, block: Callable[[UnitOfWork], Result]) -> Result:
        return in_transaction(self._database, block)

    def _move_unless_cancelled(self, state: RunState) -> bool:
        """Somebody may have asked to cancel a moment ago; then the run stays CANCELLING."""

        def move(work: UnitOfWork) -> Run:
            run = work.runs.get(self._run.id, lock=True)
            return run if run.state in (state, RunState.CANCELLING) else work.runs.move(run.id, state)

        self._run = self._write(move)
        return self._run.state is state

    def _cancel(self, reason: str) -> None:
        def cancel(work: UnitOfWork) -> Run:
            run = work.runs.get(self._run.id, lock=True)
            return run if run.state is RunState.CANCELLING else work.runs.move(run.id, RunState.CANCELLING, reason)

        self._run = self._write(cancel)


def _end_state(run: Run, counts: dict[OrderState, int], unreachable: str) -> tuple[RunState, str]:
    if unreachable:
        return RunState.FAILED, f"the orders' destination became unreachable: {unreachable}"
    if run.state is RunState.CANCELLING:
        return RunState.CANCELLED, ""
    failed = counts[OrderState.FAILED]
    if not failed:
        return RunState.COMPLETED, ""
    text = f"{failed} orders failed; `yeeter orders list {run.run_key} --state failed` shows why"
    return (RunState.COMPLETED_WITH_ERRORS if counts[OrderState.COMPLETED] else RunState.FAILED), text


def request_cancel(database: Database, id_or_key: str) -> Run:
    """Ask a run to stop: its producer does the rest.

    Raises:
        NotFound, Conflict: there is no such run, or it has ended.
    """
    with database.transaction() as work:
        run = work.runs.get(id_or_key, lock=True)
        if run.state is RunState.CANCELLING:
            return run
        if run.state.is_terminal:
            raise Conflict(f"run {run.run_key} has ended: it is {run.state}")
        return work.runs.move(run.id, RunState.CANCELLING, "cancelled on request")
