"""Carries out a plan: waits for each fault's point of progress, and makes it happen."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import pika

from tests.chaos.crew import Crew
from tests.chaos.department import LEASE_SECONDS, Department
from tests.chaos.plan import Fault
from tests.chaos.rows import RunRows

POLL = 0.05
LEAD = 100  # orders, at most, that may pass before a fault's point; as many more when it happens, so it meets work
LEAD_SHARE = 20  # and no more than the run's orders by this, so that the last faults still meet some
STEP = 20  # further orders, for a fault that has met nothing yet
SLOW = 0.02  # seconds that a slowed link holds every piece back
JOBS_EXCHANGE = "yeeter.jobs"
NOT_JOBS = (b"{not json", b'{"specversion": "1.0", "type": "io.yeeter.job.v1", "data": 7}')
UNKNOWN_RUN = "00000000-0000-4000-8000-000000000000"


class Director:
    """``done`` tells what was made to happen, and when, in seconds since the start."""

    def __init__(self, department: Department, crew: Crew, rows: RunRows, run_id: str, seconds: float) -> None:
        """``seconds``: how long everything together may take."""
        self._department = department
        self._crew = crew
        self._rows = rows
        self._run_id = run_id
        self._begun = time.monotonic()
        self._seconds = seconds
        self._thaws: list[threading.Timer] = []
        self._lead = min(LEAD, department.plan.orders // LEAD_SHARE)
        self.done: list[str] = []
        self._acts: dict[str, Callable[[Fault], None]] = {
            "broker_killed": lambda _: self.restart_broker(department.rabbitmq.kill),
            "broker_restarted": lambda _: self.restart_broker(department.rabbitmq.stop),
            "database_killed": lambda _: self.restart_database(department.postgres.kill),
            "database_restarted": lambda _: self.restart_database(department.postgres.stop),
            "archive_away": self._take_archive_away,
            "receiver_killed": lambda _: self._restart_receiver(),
            "worker_frozen": self._freeze_worker,
            "producer_killed": lambda _: crew.kill_producers(),
            "producer_frozen": lambda _: self._freeze_producer(),
            "producer_killed_while_waiting": lambda _: self._kill_waiting_producer(),
            "junk": lambda _: self._publish_junk(),
            "cut": self._cut,
            "stalled": self._stall,
            "slowed": self._slow,
        }

    def carry_out(self) -> None:
        """Every fault of the plan, and then the run's end.

        Raises:
            TimeoutError: something did not come about; names it.
        """
        pace = self._department.pace
        for fault in self._department.plan.faults:
            pace.allow(fault.after + self._lead)
            self._wait(lambda fault=fault: self._rows.ended() >= fault.after, f"{fault.after} orders that have ended")
            pace.allow(fault.after + 2 * self._lead)
            self._say(str(fault))
            self._acts[fault.kind](fault)
        pace.open()
        self._wait(self._rows.is_terminal, "the end of the run")
        self._say("the run has ended")
        for timer in self._thaws:
            timer.join()

    def _wait(self, ready: Callable[[], bool], what: str) -> None:
        while not ready():
            if time.monotonic() > self._begun + self._seconds:
                raise TimeoutError(f"{what}: not within {self._seconds:g} s")
            time.sleep(POLL)

    def _say(self, text: str) -> None:
        line = f"{time.monotonic() - self._begun:7.2f} s  {text}"
        print(line, flush=True)
        self.done.append(line)

    # --- faults ---

    def restart_broker(self, end: Callable[[], None]) -> None:
        self._department.wait_for_settled_queue()
        with self._department.links["amqp"].refusing():
            end()
            self._department.rabbitmq.start()

    def restart_database(self, end: Callable[[], None]) -> None:
        with self._department.links["postgres"].refusing():
            end()
            self._department.postgres.start()

    def _take_archive_away(self, fault: Fault) -> None:
        with self._department.links["dicom"].refusing():
            self._department.archive.stop()
            time.sleep(fault.seconds)
            self._department.start_archive()

    def _restart_receiver(self) -> None:
        with self._department.links["mllp"].refusing():
            self._department.stop_receiver()
            self._department.start_receiver()

    def _freeze_worker(self, fault: Fault) -> None:
        timer = threading.Timer(fault.seconds, self._crew.thaw, [self._crew.freeze_worker()])
        timer.start()
        self._thaws.append(timer)

    def _freeze_producer(self) -> None:
        """Until another one has taken over; one that was stopped in mid-transaction can hold that up for long."""
        before = self._crew.wait_for_holder()
        frozen = self._crew.freeze_producers()
        try:
            self._crew.wait_for_holder(besides=before, seconds=3 * LEASE_SECONDS)
        except TimeoutError:
            self._say("it was stopped in a transaction: nobody could take over")
        for producer in frozen:
            self._crew.thaw(producer)

    def _kill_waiting_producer(self) -> None:
        """With the archive away no order can end, so that all of them are emitted before the last one has ended."""
        with self._department.links["dicom"].refusing():
            self._department.pace.open()
            self._wait(lambda: self._rows.state() == "WAITING_ON_WORKERS", "the end of the emission")
            before = self._crew.wait_for_holder()
            self._crew.kill_producers()
            self._crew.wait_for_holder(besides=before)

    def _publish_junk(self) -> None:
        bodies = (*NOT_JOBS, _job(UNKNOWN_RUN, 1, 1), _job(self._run_id, 2**31 - 1, 1), _job(self._run_id, 1, 40))
        with pika.BlockingConnection(pika.URLParameters(self._department.rabbitmq.url())) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for body in bodies:
                channel.basic_publish(JOBS_EXCHANGE, self._department.queue, body, mandatory=True)

    def _cut(self, fault: Fault) -> None:
        allowed = fault.after + 2 * self._lead
        while not self._department.links[fault.link].cut():
            allowed += STEP
            self._department.pace.allow(allowed)
            self._wait(lambda: True, f"a connection over {fault.link}")
            time.sleep(POLL)

    def _stall(self, fault: Fault) -> None:
        with self._department.links[fault.link].frozen():
            time.sleep(fault.seconds)

    def _slow(self, fault: Fault) -> None:
        link = self._department.links[fault.link]
        link.delay = SLOW
        time.sleep(fault.seconds)
        link.delay = 0.0


def _job(run_id: str, order_number: int, step_index: int) -> bytes:
    """A whole job message for a step that is not there."""
    document = {
        "specversion": "1.0",
        "type": "io.yeeter.job.v1",
        "id": f"{run_id}-{order_number}-{step_index}-0",
        "data": {
            "run_id": run_id,
            "run_key": "00000000",
            "order_number": order_number,
            "epoch": 0,
            "routing_slip": [
                {"index": step_index, "type": "SEND_DICOM", "queue": "q", "parameters": {}, "timeout": 300.0}
            ],
            "patient_context": {},
            "order_context": {},
            "dicom": {},
            "template": {},
        },
    }
    return json.dumps(document).encode()
