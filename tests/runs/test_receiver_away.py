"""An order receiver that goes away in mid-run: the run waits for it, and no order is lost or sent twice."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace

from app.domain.destination import Hl7Destination
from app.domain.run import OrderState, RunState
from app.domain.work import DestinationState
from app.ports import OrderOutcome, OutboundOrder
from app.runs.control import request_cancel, request_pause, request_resume
from tests.runs.conftest import STEPS, World
from tests.runs.fakes import ACCEPTED, UNREACHABLE
from tests.runs.faults import Producing
from tests.runs.test_cancel import adds_up
from tests.runs.test_pause import AWHILE
from tests.services.processes import wait_until

IN_DOUBT = replace(UNREACHABLE, attempts=1, timeouts=1, reason="no acknowledgement; could not connect")
REFUSED_ONCE = replace(UNREACHABLE, attempts=1, errors=1, code="AE", reason="AE: later; could not connect")


class Receiver:
    """Takes orders until the tenth, and then none until it is back; ``asked`` counts how often somebody tried."""

    def __init__(self, gone: OrderOutcome = UNREACHABLE) -> None:
        self.back = threading.Event()
        self.asked: Counter[int] = Counter()
        self._gone = gone

    def __call__(self, order: OutboundOrder) -> OrderOutcome:
        if order.number < 10 or self.back.is_set():
            return ACCEPTED
        self.asked[order.number] += 1
        return self._gone if self.asked[order.number] == 1 else UNREACHABLE


def test_the_run_waits_for_it_and_tells_people_once(world: World) -> None:
    receiver = world.sender.answer = Receiver()
    run = world.start(orders=300, steps=STEPS[:1])
    producing = Producing(world, run)
    wait_until(lambda: max(receiver.asked.values(), default=0) >= 8, 60, "some questions")
    assert len(receiver.asked) <= 256, "more were begun than there is room for"
    with world.database.transaction() as work:
        known = work.destinations.get(f"hl7:127.0.0.1:{world.hl7_port}")
        assert known is not None
        assert (known.state, known.reason) == (DestinationState.OPEN, "connection refused")
        assert work.runs.get(run.id).state is RunState.RUNNING
    receiver.back.set()
    ended = producing.wait()
    assert ended.state is RunState.COMPLETED
    assert adds_up(ended)["completed"] == 300
    sent = Counter(order.control_id for order in world.sender.sent)
    assert (len(sent), set(sent.values())) == (300, {1})
    away, there, _ = world.notes(run)  # the last one is of the reconciliation
    assert f"the order receiver 127.0.0.1:{world.hl7_port} is away (connection refused)" in away
    assert "600 s" in away and there.endswith("is there again")
    assert ended.summary is not None and ended.summary["hl7"]["possibly_duplicated"] == 0
    with world.database.transaction() as work:
        known = work.destinations.get(f"hl7:127.0.0.1:{world.hl7_port}")
        assert known is not None and known.state is DestinationState.CLOSED


def test_one_order_at_a_time_is_the_question(world: World) -> None:
    receiver = world.sender.answer = Receiver()
    run = world.start(orders=40, steps=STEPS[:1])
    producing = Producing(world, run)
    wait_until(lambda: max(receiver.asked.values(), default=0) >= 6, 60, "some questions")
    tried = Counter(receiver.asked.values())
    assert tried[1] == len(receiver.asked) - 1, receiver.asked
    receiver.back.set()
    assert producing.wait().state is RunState.COMPLETED


def test_earlier_transmissions_of_an_order_count(world: World) -> None:
    receiver = world.sender.answer = Receiver(gone=IN_DOUBT)
    run = world.start(orders=15, steps=STEPS[:1])
    producing = Producing(world, run)
    wait_until(lambda: len(receiver.asked) == 5, 60, "the receiver to be away")
    receiver.back.set()
    ended = producing.wait()
    assert ended.state is RunState.COMPLETED and ended.summary is not None
    hl7 = ended.summary["hl7"]
    assert (hl7["sent"], hl7["resent"], hl7["timeouts"], hl7["possibly_duplicated"]) == (20, 5, 5, 5)


def test_an_order_that_was_only_refused_before_is_in_no_doubt(world: World) -> None:
    receiver = world.sender.answer = Receiver(gone=REFUSED_ONCE)
    run = world.start(orders=12, steps=STEPS[:1])
    producing = Producing(world, run)
    wait_until(lambda: len(receiver.asked) == 2, 60, "the receiver to be away")
    receiver.back.set()
    ended = producing.wait()
    assert ended.summary is not None
    hl7 = ended.summary["hl7"]
    assert (hl7["sent"], hl7["errors"], hl7["accepted"], hl7["possibly_duplicated"]) == (14, 2, 12, 0)


def test_after_the_patience_the_run_fails_and_every_order_has_its_end(world: World) -> None:
    world.sender.answer = Receiver(gone=IN_DOUBT)
    run = world.start(orders=50, steps=STEPS[:1], hl7={"patience": 0.3})
    ended = Producing(world, run).wait()
    assert ended.state is RunState.FAILED
    assert "became unreachable: " in ended.reason
    counts = adds_up(ended)
    assert (counts["completed"], counts["failed"], counts["not_emitted"]) == (10, 40, 0)
    failed = world.database.queries.orders(run.id, state=OrderState.FAILED, search=None, after=None, limit=100).rows
    assert {row.reason for row in failed} == {"GENERATE_HL7: no acknowledgement; could not connect"}


def test_what_never_left_counts_as_not_emitted(world: World) -> None:
    world.sender.answer = Receiver()
    run = world.start(orders=50, steps=STEPS[:1], hl7={"patience": 0.3})
    ended = Producing(world, run).wait()
    counts = adds_up(ended)
    assert (counts["completed"], counts["failed"], counts["not_emitted"]) == (10, 0, 40)
    with world.database.transaction() as work:
        assert sum(work.orders.counts(run.id).values()) == 10


def test_a_run_that_waits_for_it_can_be_cancelled(world: World) -> None:
    receiver = world.sender.answer = Receiver()
    run = world.start(orders=50, steps=STEPS[:1])
    producing = Producing(world, run)
    wait_until(lambda: bool(receiver.asked), 60, "the receiver to be away")
    request_cancel(world.database, run.id)
    ended = producing.wait()
    assert ended.state is RunState.CANCELLED
    assert adds_up(ended)["not_emitted"] == 40


def test_a_paused_run_does_not_ask_and_its_patience_begins_anew(world: World) -> None:
    receiver = world.sender.answer = Receiver()
    run = world.start(orders=50, steps=STEPS[:1], hl7={"patience": 30})
    producing = Producing(world, run)
    wait_until(lambda: max(receiver.asked.values(), default=0) >= 3, 60, "some questions")
    request_pause(world.database, run.id)
    asked = -1
    while asked != (asked := receiver.asked.total()):
        producing._thread.join(AWHILE)
    receiver.back.set()
    request_resume(world.database, run.id)
    ended = producing.wait()
    assert (ended.state, adds_up(ended)["completed"]) == (RunState.COMPLETED, 50)


def test_a_destination_has_one_name_for_all() -> None:
    assert Hl7Destination(host="ris", port=2575).key == "hl7:ris:2575"
