"""Receivers that are killed in mid-traffic: those that take their ledgers over answer as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

from app.adapters.archive.dicom_query import DicomArchiveQuery
from app.adapters.senders.dimse import DimseStudySender
from app.domain.destination import DicomDestination
from app.domain.errors import StepError
from app.domain.study import ArchivedStudy, EncodedInstance, ReceivedOrder
from app.ports import OrderOutcome
from app.producer.receivers import BuiltInReceiver
from tests.contract.instances import RUN_KEY, study
from tests.contract.mllp_orders import ledger_of, order, send, sender_to
from tests.contract.test_receiver_program import Receiver, receiver
from tests.services.processes import wait_until

ORDERS = [order(number, lane=f"P{number}") for number in range(120)]
ORDER_LIES = ("--drop", "3", "--duplicate", "3", "--swap-patient", "3", "--reject", "2", "--error", "2")

SLOWLY = ("--delay-ms", "10")  # so that the end comes in mid-traffic

STUDIES = 40
STUDY_LIES = ("--drop", "2", "--duplicate", "2", "--swap-patient", "2", "--fail", "1")


def lines_of(ledger: Path) -> int:
    return ledger.read_bytes().count(b"\n") if ledger.exists() else 0


def kill(running: Receiver) -> None:
    running.process.kill()
    running.process.wait(30)


def kept_by(port: int) -> dict[str, ReceivedOrder]:
    """By control ID: an order that is sent again after an error may come before or behind those of other patients."""
    return {kept.control_id: kept for kept in ledger_of(port)}


def test_an_order_receiver_that_is_killed_is_replaced_by_one_that_knows_what_it_had(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with receiver("mllp", "--port", "0", *ORDER_LIES) as steady:
        port = steady.ready()["port"]
        verdicts = send(port, ORDERS)
        expected = kept_by(port)

    arguments = ("mllp", "--port", "0", "--ledger", ledger, *ORDER_LIES)
    with receiver(*arguments, *SLOWLY) as killed, sender_to(killed.ready()["port"], attempts=1) as sender:
        for one in ORDERS:
            sender.submit(one)
        acknowledged: list[OrderOutcome] = []
        while len(acknowledged) < 60:
            acknowledged += sender.completed(timeout=5)
        kill(killed)

    with receiver(*arguments) as successor:
        port = successor.ready()["port"]
        accepted = {ORDERS[outcome.number].control_id for outcome in acknowledged if outcome.verdict == "accepted"}
        had = kept_by(port)
        assert accepted & expected.keys() <= had.keys()
        assert had.items() <= expected.items()
        assert send(port, ORDERS) == verdicts
        assert kept_by(port) == expected


def stored(address: DicomDestination) -> list[ArchivedStudy]:
    return list(DicomArchiveQuery().studies(address, RUN_KEY, STUDIES))


def instances() -> Iterator[EncodedInstance]:
    for number in range(STUDIES):
        yield from study(number, 3)


def store(address: DicomDestination) -> list[int]:
    sender = DimseStudySender()
    try:
        return [result.status for result in sender.store(address, instances(), monotonic() + 60)]
    finally:
        sender.close()


def address_of(running: Receiver) -> DicomDestination:
    return DicomDestination(aet="YEETER", host="127.0.0.1", port=running.ready()["port"])


def test_a_study_receiver_that_is_killed_is_replaced_by_one_that_knows_what_it_had(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with receiver("dicom", "--port", "0", *STUDY_LIES) as steady:
        address = address_of(steady)
        statuses = store(address)
        expected = stored(address)

    arguments = ("dicom", "--port", "0", "--ledger", ledger, *STUDY_LIES)
    with receiver(*arguments, *SLOWLY) as killed:
        address, over = address_of(killed), threading.Event()

        def store_until_it_is_over() -> None:
            sender = DimseStudySender()
            with suppress(StepError):
                sender.store(address, instances(), monotonic() + 60, over.is_set)
            sender.close()

        traffic = threading.Thread(target=store_until_it_is_over)
        traffic.start()
        wait_until(lambda: lines_of(ledger) > 50, 30, "half of the traffic")
        kill(killed)
        over.set()
        traffic.join(60)
        assert not traffic.is_alive()

    with receiver(*arguments) as successor:
        address = address_of(successor)
        had = [replace(one, instances=3) for one in stored(address)]
        assert len(had) > 10
        assert all(one in expected for one in had)
        assert store(address) == statuses
        assert stored(address) == expected


def test_a_line_that_was_cut_off_is_removed_with_a_warning(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with receiver("mllp", "--port", "0", "--ledger", ledger) as first:
        send(first.ready()["port"], ORDERS[:3])
        kill(first)
    with ledger.open("ab") as file:
        file.write(b'{"control_id":"7K3QX0AB')
    with receiver("mllp", "--port", "0", "--until-eof", "--ledger", ledger) as second:
        port = second.ready()["port"]
        send(port, ORDERS[:5])
        assert [kept.control_id for kept in ledger_of(port)] == [one.control_id for one in ORDERS[:5]]
        code, _, errors = second.ended()
    assert code == 0
    assert "the last line of the ledger was cut off; removed" in errors
    with receiver("mllp", "--port", "0", "--ledger", ledger) as third:
        assert len(ledger_of(third.ready()["port"])) == 5


def test_a_file_of_another_receiver_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with receiver("mllp", "--port", "0", "--ledger", ledger) as first:
        send(first.ready()["port"], ORDERS[:1])
        kill(first)
    with receiver("dicom", "--port", "0", "--ledger", ledger) as second:
        code, _, errors = second.ended()
    assert code == 1
    assert "is not of this receiver's making" in errors and len(errors.splitlines()) == 1


# --- Built-in receivers, whose parent is killed -----------------------------------------------------------------------

PARENT = """
import sys, time
from pathlib import Path
from app.producer.receivers import BuiltInReceiver
with BuiltInReceiver(sys.argv[1], Path(sys.argv[2])) as receiver:
    print(receiver.port, flush=True)
    time.sleep(600)
"""


@contextmanager
def built_in(kind: str, ledger: Path) -> Iterator[int]:
    """The port of a built-in receiver whose parent is killed at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, kind, str(ledger)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        try:
            yield int(parent.stdout.readline())
        finally:
            parent.kill()


def test_after_its_parent_was_killed_a_built_in_order_receivers_ledger_is_taken_over(tmp_path: Path) -> None:
    ledger = tmp_path / "home" / "runs" / "7" / "mllp.jsonl"
    with built_in("mllp", ledger) as port:
        send(port, ORDERS[:5])
    with BuiltInReceiver("mllp", ledger) as successor:
        send(successor.port, ORDERS[3:8])
        assert [kept.control_id for kept in ledger_of(successor.port)] == [one.control_id for one in ORDERS[:8]]


def test_after_its_parent_was_killed_a_built_in_study_receivers_ledger_is_taken_over(tmp_path: Path) -> None:
    ledger = tmp_path / "home" / "runs" / "7" / "dicom.jsonl"
    with built_in("dicom", ledger) as port:
        address = DicomDestination(aet="YEETER", host="127.0.0.1", port=port)
        store(address)
        expected = stored(address)
    with BuiltInReceiver("dicom", ledger) as successor:
        assert stored(address.model_copy(update={"port": successor.port})) == expected


def test_without_a_file_a_built_in_receiver_starts_anew() -> None:
    with BuiltInReceiver("mllp") as first:
        send(first.port, ORDERS[:5])
    with BuiltInReceiver("mllp") as second:
        assert ledger_of(second.port) == []
