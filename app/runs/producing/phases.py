"""The phases of a run, one after the other; see :mod:`app.runs.producing.produce` for the way through its states."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from app.domain.event import RUN_LOAD, RUN_NOTE, Event
from app.domain.pacing import Pacing
from app.domain.run import Run, RunState
from app.domain.schedule import schedule_of
from app.domain.template import Template, step_queue
from app.hl7.acknowledgement import parse_ack
from app.hl7.ledger_query import RECEIVER
from app.ports import UnitOfWork
from app.runs.control import has_emitted
from app.runs.jobs import JobBuilder
from app.runs.parts import Parts
from app.runs.patience import patiently
from app.runs.producing.conclude import end_run, fail_run
from app.runs.producing.emit import Emitter, Gate
from app.runs.producing.figures import tell_figures
from app.runs.producing.housekeeping import Housekeeper
from app.runs.producing.lease import Lease
from app.runs.producing.notes import Notes
from app.runs.producing.parking import Parking
from app.runs.producing.preflight import check_destinations, check_room
from app.runs.producing.receiver import ReceiverWatch
from app.runs.producing.reconcile import Reconciliation, Witnesses, reconcile
from app.runs.producing.relay import Relay
from app.runs.producing.spans import ProducerSpans
from app.runs.producing.stall import Stall
from app.runs.producing.sweep import Sweeper
from app.runs.producing.takeover import take_over
from app.runs.producing.time_limit import TimeLimit
from app.runs.producing.timing import Timekeeper
from app.runs.reading.folds import Folds
from app.runs.reading.follow import FeedFollower
from app.runs.traces import run_trace

POLL = 0.1

_GATES = {RunState.PAUSED: Gate.HELD, RunState.CANCELLING: Gate.CLOSED}
_GOING_ON = (RunState.RUNNING, RunState.WAITING_ON_WORKERS, RunState.PAUSED)


class Phases:
    """One run under one lease, from the state it is in to its end."""

    def __init__(
        self,
        parts: Parts,
        run: Run,
        template: Template,
        lease: Lease,
        follower: FeedFollower,
        folds: Folds,
        checks: Sequence[Callable[[], None]],
        on_note: Callable[[str], None],
    ) -> None:
        self._parts = parts
        self._run = run
        self._template = template
        self._lease = lease
        self._follower = follower
        self._folds = folds
        self._checks = [lease.check, *checks]
        self._notes = Notes(lease, on_note)
        trace = run_trace(run, parts.tracing)
        self._spans = None if trace is None else ProducerSpans(run, trace)
        self._builder = JobBuilder(run, template, parts.order_queue, trace)
        self._limit = TimeLimit(None)
        self._relay = Relay(
            lease, parts.broker, parts.inline, self._builder.body, parts.backpressure_mark, self._notes, self._spans
        )

    def run(self) -> Run:
        """Raises as ``Producer.produce`` does."""
        self._seen(self._lease.write(lambda work: work.runs.get(self._run.id)))
        is_new = self._run.state is RunState.PENDING
        if is_new and (problems := self._preflight()):
            return self._fail("; ".join(problems))
        if is_new:
            self._move_on(RunState.RUNNING)
        else:
            self._take_over()
        self._start_limit(is_new)
        with self._helpers():
            if self._run.state in (RunState.RUNNING, RunState.PAUSED) and not has_emitted(self._run):
                self._emit(is_new)
                self._move_on(RunState.WAITING_ON_WORKERS)
            self._wait_for_orders()
        return self._finish()

    # --- the beginning ---

    def _preflight(self) -> list[str]:
        problems = check_destinations(self._template, self._parts.archive, self._parts.resolve)
        return problems + check_room(self._run, self._template, self._parts.studies, self._parts.backpressure_mark)

    def _take_over(self) -> None:
        self._notes.write(f"another producer goes on with the run, which is {self._run.state}")
        take_over(self._parts, self._lease, self._builder, self._template, self._run)

    def _start_limit(self, is_new: bool) -> None:
        """The run's time counts from its beginning; that of a later epoch from when it was taken up again."""
        used = 0.0
        if not is_new and self._run.epoch == 0 and self._template.time_limit is not None:
            self._follower.catch_up()
            used = self._folds.summary.wall_seconds()
        self._limit = TimeLimit(self._template.time_limit, used)

    @contextmanager
    def _helpers(self) -> Iterator[None]:
        """Relay and housekeeper, around the phases in which orders are sent and waited for."""
        parts, lease, notes = self._parts, self._lease, self._notes
        relay = self._relay
        dicom, queues = self._template.destinations.dicom, self._queues()
        parking = Parking(lease, self._builder, notes, dicom.key if dicom else "")
        sweeper = Sweeper(parts, lease, self._builder, queues)
        stall = Stall(parts, lease, notes, queues, relay, self._folds.summary, self._folds.progress)
        duties = (parking.look, sweeper.look, stall.look)
        housekeeper = Housekeeper(lease, notes, parts.rhythm.housekeeping, duties)
        self._checks += [relay.check, housekeeper.check]
        relay.start()
        housekeeper.start()
        try:
            yield
        finally:
            housekeeper.stop()
            relay.stop()

    def _queues(self) -> list[str]:
        indexes = range(1, len(self._template.steps))
        return list(dict.fromkeys(step_queue(self._template, index, self._parts.order_queue) for index in indexes))

    # --- emission ---

    def _emit(self, is_new: bool) -> None:
        hl7 = self._template.destinations.hl7
        assert hl7 is not None  # filled in, or the run would not have begun
        begun = self._lease.write(lambda work: work.orders.begun(self._run.id))
        in_doubt = sorted(number for number, is_sending in begun.items() if is_sending)
        every = range(self._run.requested)
        others = [number for number in every if number not in begun] if begun else every
        times = Timekeeper(self._pacing(others, is_new), self._template.arrival.is_open)
        receiver = ReceiverWatch(hl7, self._lease, self._notes, self._parts.rhythm.probe, time.monotonic)
        sender = self._parts.open_sender(hl7)
        try:
            emitter = Emitter(
                self._run,
                self._template,
                self._builder,
                sender,
                self._lease,
                receiver,
                times,
                self._spans,
                self._relay.wake,
            )
            emitter.emit(in_doubt, iter(others), self._gate)
        finally:
            sender.close()
        load = Event(self._run.id, RUN_LOAD, data=times.load(self._run.requested))
        self._lease.write(lambda work: work.journal.append([load]))
        self._lease.check_whether_to_stay()
        if emitter.unreachable:
            self._cancel(f"the orders' destination became unreachable: {emitter.unreachable}")

    def _pacing(self, numbers: Sequence[int], is_new: bool) -> Pacing:
        """On from where another producer left it: the first of these orders is due now."""
        arrival = self._template.arrival
        schedule = schedule_of(arrival, self._run.seed, self._run.base_time)
        if arrival.is_open:
            following = numbers[0] if numbers else self._run.requested
            return Pacing(schedule, time.monotonic, 0.0 if is_new else schedule.due(following))
        used = 0.0
        if not is_new and arrival.duration is not None:
            self._follower.catch_up()
            used = self._folds.summary.load.seconds
        return Pacing(schedule, time.monotonic, used, ends_after=arrival.duration)

    def _gate(self) -> Gate:
        for check in self._checks:
            check()
        if self._lease.leaving.is_set():
            return Gate.LEAVING
        self._keep_limit()
        return _GATES.get(self._lease.state, Gate.OPEN)

    # --- waiting ---

    def _wait_for_orders(self) -> None:
        """Until no order is unfinished; a cancelled run's unclaimed orders are cancelled on the way."""
        while not self._lease.write_knowing(self._orders_have_ended):
            self._look_around()

    def _orders_have_ended(self, work: UnitOfWork, state: RunState) -> bool:
        if state is RunState.PAUSED:
            return False
        if state is RunState.CANCELLING:
            work.orders.cancel_waiting(self._run.id)
        if work.jobs.outstanding(self._run.id):
            return False
        # Whoever reopens orders, or asks for something, has locked the run first: behind this lock nothing changes.
        run = work.runs.get(self._run.id, lock=True)
        if run.state is RunState.PAUSED or work.jobs.outstanding(run.id):
            return False
        if run.state is RunState.WAITING_ON_WORKERS:
            work.runs.move(run.id, RunState.RECONCILING)
        return True

    def _look_around(self) -> None:
        """Raises what ends the run here; waits a moment."""
        for check in self._checks:
            check()
        self._lease.check_whether_to_stay()
        self._keep_limit()
        time.sleep(POLL)

    def _keep_limit(self) -> None:
        if self._limit.is_over and self._lease.state in _GOING_ON:
            self._cancel(self._limit.reason)

    # --- the end ---

    def _finish(self) -> Run:
        reconciliation = self._reconcile()
        self._follower.catch_up()
        folds = self._folds
        run = self._lease.write(lambda work: end_run(work, self._run.id, self._template, folds, reconciliation))
        self._parts.studies.remove(run.id)
        self._follower.catch_up()
        return self._told(run)

    def _fail(self, reason: str) -> Run:
        """Nothing was sent: the run fails as it stands."""
        self._follower.catch_up()
        run = self._lease.write(lambda work: fail_run(work, self._run.id, self._folds, reason))
        return self._told(run)

    def _told(self, run: Run) -> Run:
        tell_figures(run)
        if self._spans is not None:
            self._spans.ended(run)
        return run

    def _reconcile(self) -> Reconciliation:
        destinations = self._template.destinations
        sends = any(step.type == "SEND_DICOM" for step in self._template.steps)
        witnesses = Witnesses(
            self._parts.archive,
            destinations.dicom if sends else None,
            self._parts.ledger,
            destinations.hl7 if self._receiver_keeps_a_ledger() else None,
        )
        stay, within = self._lease.check_whether_to_stay, self._parts.reconcile_within
        queries = self._parts.database.queries
        result = patiently(lambda: reconcile(queries, self._run, witnesses, within, stay), stay)
        notes = [Event(self._run.id, RUN_NOTE, data={"text": note}) for note in result.notes]

        def write(work: UnitOfWork) -> None:
            work.journal.find(self._run.id, self._run.epoch, result.findings)
            work.journal.append(notes)

        self._lease.write(write)
        return result

    def _receiver_keeps_a_ledger(self) -> bool:
        acknowledgement = self._lease.write(lambda work: work.orders.any_acknowledgement(self._run.id))
        return bool(acknowledgement) and parse_ack(acknowledgement.encode("latin-1")).sender == RECEIVER

    # --- states ---

    def _move_on(self, state: RunState) -> None:
        """To this state, once the run is not paused; one that is being cancelled stays so."""

        def move(work: UnitOfWork) -> Run:
            run = work.runs.get(self._run.id, lock=True)
            stays = run.state in (state, RunState.PAUSED, RunState.CANCELLING)
            return run if stays else work.runs.move(run.id, state)

        self._seen(self._lease.write(move))
        while self._run.state is RunState.PAUSED:
            self._look_around()
            self._seen(self._lease.write(move))

    def _cancel(self, reason: str) -> None:
        """The run is to end as FAILED, for this reason, unless somebody cancelled it before."""

        def cancel(work: UnitOfWork) -> Run:
            run = work.runs.get(self._run.id, lock=True)
            return work.runs.move(run.id, RunState.CANCELLING, reason) if run.state in _GOING_ON else run

        self._seen(self._lease.write(cancel))

    def _seen(self, run: Run) -> None:
        self._run = run
        self._lease.state = run.state
