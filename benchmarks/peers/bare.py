"""Ours without what makes it sure: the same parts, and nothing that a crash, a fault or a second delivery would need.

Orders are planned, rendered and sent, and each acknowledgement is checked; a job an order is published and confirmed;
its study is made and stored; five event rows an order are copied into PostgreSQL. There are no rows before a message
leaves, no outbox, no claims and fences, no leases, nobody follows the run, and nothing is reconciled. What ours takes
longer than this is what its guarantees cost.

python -m benchmarks.peers.bare QUEUE AET PORT      (a worker, with RABBITMQ_URL and DATABASE_URL)
"""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Semaphore

import psycopg2

from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.adapters.senders.dimse import DimseStudySender
from app.adapters.senders.mllp import MllpOrderSender
from app.dicom.study import generate_study
from app.domain import fast_json
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.order import Order
from app.domain.planning import OrderPlanner
from app.domain.study import EncodedInstance
from app.hl7.orm import OrmRenderer
from app.ports import Delivery, Message, OutboundOrder
from benchmarks.peers.archive import Archive
from benchmarks.peers.orders import metadata_only
from benchmarks.peers.sending import HOST, PeerFailed
from tests.services.processes import Program

GROUP = 200  # jobs that are published, and made and stored, together
IN_FLIGHT = 1000  # orders sent and not acknowledged yet
CONNECTIONS = 8
PREFETCH = 2 * GROUP
PATIENCE = 120.0  # seconds
SENT = ("ORDER_SENT", "ORDER_ACKNOWLEDGED", "JOB_PUBLISHED")
STORED = ("STUDY_GENERATED", "STUDY_STORED")

_TABLE = "CREATE TABLE IF NOT EXISTS bare_events (number integer, type text, at timestamptz DEFAULT now(), data jsonb)"


class Events:
    """The table of events; a transaction a group."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg2.connect(url)

    def create(self) -> None:
        """Make the table where there is none; not by two at once."""
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(_TABLE)

    def write(self, numbers: Sequence[int], types: Sequence[str]) -> None:
        lines = "".join(f'{number}\t{kind}\t{{"order": {number}}}\n' for number in numbers for kind in types)
        with self._connection, self._connection.cursor() as cursor:
            cursor.copy_expert("COPY bare_events (number, type, data) FROM STDIN", io.StringIO(lines))

    def close(self) -> None:
        self._connection.close()


# --- the producer ---


def produce(planner: OrderPlanner, orders: int, mllp_port: int, environment: Mapping[str, str], queue: str) -> None:
    """Plan and send so many orders, and publish a job for each. Raises PeerFailed: one was not accepted."""
    planned: dict[int, Order] = {}
    room = Semaphore(IN_FLIGHT)
    with ExitStack() as stack:
        destination = Hl7Destination(host=HOST, port=mllp_port, connections=CONNECTIONS)
        sender = stack.enter_context(closing(MllpOrderSender(destination)))
        broker = stack.enter_context(closing(RabbitMqBroker(environment["RABBITMQ_URL"])))
        events = stack.enter_context(closing(Events(environment["DATABASE_URL"])))
        planning = stack.enter_context(ThreadPoolExecutor(1)).submit(_plan, planner, orders, sender, planned, room)
        stack.callback(room.release, orders)  # planning ends, whatever ends this
        done = 0
        while done < orders:
            accepted = _accepted(sender)
            if accepted:
                broker.publish([_message(planned.pop(number), queue) for number in accepted])
                events.write(accepted, SENT)
                room.release(len(accepted))
                done += len(accepted)
            elif planning.done():
                planning.result()


def _plan(
    planner: OrderPlanner, orders: int, sender: MllpOrderSender, planned: dict[int, Order], room: Semaphore
) -> None:
    render = OrmRenderer(metadata_only().hl7).render
    for number in range(orders):
        room.acquire()
        order = planned[number] = planner.order(number)
        sender.submit(OutboundOrder(number, order.control_id, order.patient.patient_id, render(order)))


def _accepted(sender: MllpOrderSender) -> list[int]:
    outcomes = sender.completed(1.0)
    for outcome in outcomes:
        if outcome.verdict != "accepted":
            raise PeerFailed(f"order {outcome.number}: {outcome.verdict} {outcome.reason}")
    return [outcome.number for outcome in outcomes]


def _message(order: Order, queue: str) -> Message:
    body = fast_json.dumps({"patient": order.patient_context, "order": order.order_context})
    return Message(str(order.number), queue, body)


# --- the worker ---


@contextmanager
def bare_workers(
    count: int, environment: Mapping[str, str], queue: str, archive: Archive, folder: Path
) -> Iterator[None]:
    """Programs that take jobs until the block ends; they are ready when it begins.

    Raises:
        PeerFailed: instances were waited for in vain; with what the workers said.
    """
    command = [sys.executable, "-m", "benchmarks.peers.bare", queue, archive.aet, str(archive.port)]
    with ExitStack() as stack:
        stack.enter_context(closing(Events(environment["DATABASE_URL"]))).create()
        logs = [folder / f"{queue}-{number}.log" for number in range(count)]
        workers = [stack.enter_context(Program(command, log, environment)) for log in logs]
        for worker in workers:
            worker.wait_for_line("ready")
        try:
            yield
        except TimeoutError as error:
            raise PeerFailed(f"{error}\n" + "\n".join(worker.output for worker in workers)) from error


def work(queue: str, aet: str, port: int) -> None:
    """Until it is ended from outside."""
    destination = DicomDestination(aet=aet, host=HOST, port=port)
    events, sender = Events(os.environ["DATABASE_URL"]), DimseStudySender()
    with closing(RabbitMqBroker(os.environ["RABBITMQ_URL"])) as broker:
        broker.declare([queue])
        subscription = broker.subscribe([queue], PREFETCH)
        print("ready", flush=True)
        while True:
            deliveries = subscription.receive(GROUP, 1.0)
            if not deliveries:
                continue
            results = sender.store(destination, _instances(deliveries), time.monotonic() + PATIENCE)
            if not all(result.outcome == "stored" for result in results):
                raise PeerFailed("not everything was stored")
            events.write([int(delivery.message_id) for delivery in deliveries], STORED)
            subscription.acknowledge(deliveries)


def _instances(deliveries: Sequence[Delivery]) -> Iterator[EncodedInstance]:
    for delivery in deliveries:
        contexts = fast_json.loads(delivery.body)
        yield from generate_study(Order.from_context(contexts["patient"], contexts["order"]))


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]))
