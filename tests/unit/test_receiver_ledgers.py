"""Ledgers that outlive their receivers: one that replaces another goes on as if it had been there all along."""

from __future__ import annotations

import json
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.domain.errors import InvalidInput, Unavailable
from app.domain.study import ReceivedOrder
from app.hl7.acknowledgement import parse_ack
from app.hl7.ledger_query import LedgerQuery
from app.hl7.parsing import ParsedMessage
from app.receivers.dicom.intake import OUT_OF_RESOURCES
from app.receivers.dicom.intake import Intake as StudyIntake
from app.receivers.dicom.ledger import StudyEntry, StudyLedger
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.journal import Journal, Record
from app.receivers.mllp.intake import Intake as OrderIntake
from app.receivers.mllp.ledger import Ledger
from app.receivers.mllp.lies import Liar, Lies
from app.receivers.mllp.responder import Responder
from tests.contract.instances import instance
from tests.contract.mllp_orders import RUN_KEY, order

# --- The same as if it had never been replaced ------------------------------------------------------------------------


@dataclass
class OrderReceiver:
    """What an MLLP receiver consists of, without its sockets."""

    lies: Lies
    file: Path | None = None
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.intake = OrderIntake(self.ledger, Liar(self.lies))
        if self.file is not None:
            self.intake.open(self.file)

    def take(self, number: int) -> str:
        message = ParsedMessage(f"K{number}", "ORM^O01", "", f"P{number % 5}", f"Doe^{number}", RUN_KEY, "2026")
        return self.intake.take(message)[0]

    def kept(self) -> tuple[int, tuple[ReceivedOrder, ...]]:
        return self.ledger.repeats, self.ledger.answer(LedgerQuery("", "", RUN_KEY)).orders


@dataclass
class StudyReceiver:
    """What a DICOM receiver consists of, without its sockets."""

    options: DicomReceiverOptions
    file: Path | None = None
    ledger: StudyLedger = field(default_factory=StudyLedger)

    def __post_init__(self) -> None:
        self.intake = StudyIntake(self.options, self.ledger)
        if self.file is not None:
            self.intake.open(self.file)

    def take(self, number: int) -> int:
        return self.intake.take(INSTANCES[number])

    def kept(self) -> list[StudyEntry]:
        return self.ledger.entries()


INSTANCES = [instance(number // 2, number % 2, PatientID=f"P{number // 4}") for number in range(24)]

COUNTS = st.integers(0, 3)
REPLACED = None  # in place of an arrival
ARRIVALS = st.lists(st.integers(0, 23) | st.just(REPLACED), max_size=60)


@settings(deadline=None)
@given(st.builds(Lies, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS), ARRIVALS)
def test_an_order_receiver_that_is_replaced_answers_and_keeps_the_same(lies: Lies, arrivals: list[int | None]) -> None:
    with TemporaryDirectory() as folder:
        steady, replaced = OrderReceiver(lies), OrderReceiver(lies, Path(folder) / "ledger")
        for arrival in arrivals:
            if arrival is REPLACED:
                replaced.intake.close()
                replaced = OrderReceiver(lies, replaced.file)
            else:
                assert replaced.take(arrival) == steady.take(arrival)
            assert replaced.kept() == steady.kept()
        replaced.intake.close()


@settings(deadline=None)
@given(
    st.builds(DicomReceiverOptions, drop=COUNTS, duplicate=COUNTS, fail=COUNTS, swap_patient=COUNTS),
    ARRIVALS,
)
def test_a_study_receiver_that_is_replaced_answers_and_keeps_the_same(
    options: DicomReceiverOptions, arrivals: list[int | None]
) -> None:
    with TemporaryDirectory() as folder:
        steady, replaced = StudyReceiver(options), StudyReceiver(options, Path(folder) / "ledger")
        for arrival in arrivals:
            if arrival is REPLACED:
                replaced.intake.close()
                replaced = StudyReceiver(options, replaced.file)
            else:
                assert replaced.take(arrival) == steady.take(arrival)
        assert replaced.kept() == steady.kept()
        replaced.intake.close()


def test_one_that_is_told_to_lie_less_than_its_predecessor_knows_the_lies_that_were_told(tmp_path: Path) -> None:
    orders = OrderReceiver(Lies(drop=2), tmp_path / "orders")
    studies = StudyReceiver(DicomReceiverOptions(drop=1), tmp_path / "studies")
    for number in range(6):
        orders.take(number)
        studies.take(number)
    orders.intake.close()
    studies.intake.close()
    orders, studies = OrderReceiver(Lies(), orders.file), StudyReceiver(DicomReceiverOptions(), studies.file)
    assert [orders.take(1), studies.take(0)] == ["AA", 0]
    assert [kept.control_id for kept in orders.kept()[1]] == ["K0", "K2", "K3", "K5"]
    assert [entry.study.accession for entry in studies.kept()] == ["7K3QX0AB00001", "7K3QX0AB00002"]


# --- The file ---------------------------------------------------------------------------------------------------------


def read(path: Path) -> list[Record]:
    records: list[Record] = []
    Journal(path, records.append).close()
    return records


def test_what_is_appended_is_read_whatever_the_text(tmp_path: Path) -> None:
    records: list[Record] = [{"text": text} for text in ("", "a\nb\r\x00", "Größe \u2028 漢字", "half \ud83d", '"\\')]
    journal = Journal(tmp_path / "ledger", pytest.fail)
    for record in records:
        journal.append(record)
    journal.close()
    assert read(tmp_path / "ledger") == records
    assert read(tmp_path / "ledger") == records


def test_a_line_that_was_cut_off_is_removed_and_said_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b'{"number":1}\n{"number":2}\n{"num')
    with capture_logs() as logs:
        journal = Journal(path, lambda record: None)
    journal.append({"number": 3})
    journal.close()
    assert [(line["log_level"], line["line"]) for line in logs if "cut off" in line["event"]] == [("warning", 3)]
    assert path.read_bytes() == b'{"number":1}\n{"number":2}\n{"number":3}\n'


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """No file of this process may grow any longer, as on a disk that is full."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_a_line_for_which_there_is_no_room_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    journal = Journal(path, pytest.fail)
    journal.append({"number": 1})
    with longest_file(20), pytest.raises(OSError, match="No space left on device"):
        journal.append({"number": 2})
    journal.append({"number": 3})
    journal.close()
    assert read(path) == [{"number": 1}, {"number": 3}]


@pytest.mark.parametrize(
    "line",
    ["no JSON", "[]", "7", "null", "{}", '{"control_id":"1"}', '{"study_uid":"1.2"}', '{"lie":"white","copies":1}'],
)
@pytest.mark.parametrize("receiver", [OrderReceiver, StudyReceiver])
def test_a_file_of_somebody_elses_is_refused_and_left_alone(receiver: Any, line: str, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_text(line + "\n")
    with pytest.raises(InvalidInput, match=r"ledger: line 1 of .* is not of this receiver's making.*name another file"):
        receiver(Lies() if receiver is OrderReceiver else DicomReceiverOptions(), path)
    assert path.read_text() == line + "\n"


def test_the_file_is_one_receivers_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first = Journal(path, pytest.fail)
    with pytest.raises(Unavailable, match=r"ledger is in use by another receiver \(end that one first\)"):
        Journal(path, pytest.fail, lock_seconds=0.1)
    first.close()
    Journal(path, pytest.fail, lock_seconds=0.1).close()


def test_a_successor_waits_for_the_end_of_the_one_before_and_reads_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    first = Journal(path, pytest.fail)

    def end_slowly() -> None:
        time.sleep(0.2)
        first.append({"number": 1})
        first.close()

    ending = threading.Thread(target=end_slowly)
    ending.start()
    assert read(path) == [{"number": 1}]
    ending.join()


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "ledger", pytest.fail)
    threads = [
        threading.Thread(target=lambda: [journal.append({"text": "x" * 200}) for _ in range(200)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert [json.loads(line) for line in (tmp_path / "ledger").read_text().splitlines()] == [{"text": "x" * 200}] * 800


# --- What can't be written is not taken -------------------------------------------------------------------------------


def test_an_order_that_can_not_be_written_down_may_come_again(tmp_path: Path) -> None:
    receiver = OrderReceiver(Lies(), tmp_path / "ledger")
    responder = Responder(receiver.ledger, receiver.intake, lambda: datetime.now(UTC))
    with longest_file(10):
        answer = parse_ack(responder.respond(order(1).message))
    assert answer.code == "AE"
    assert "No space left on device" in answer.text
    assert len(receiver.ledger) == 0
    assert parse_ack(responder.respond(order(1).message)).code == "AA"
    assert len(receiver.ledger) == 1


def test_an_instance_that_can_not_be_written_down_is_answered_out_of_resources(tmp_path: Path) -> None:
    receiver = StudyReceiver(DicomReceiverOptions(), tmp_path / "ledger")
    with capture_logs() as logs, longest_file(10):
        assert receiver.take(0) == OUT_OF_RESOURCES
    assert "No space left on device" in logs[0]["error"]
    assert receiver.kept() == []
    assert receiver.take(0) == 0
