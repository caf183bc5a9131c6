"""The built-in MLLP receiver on the wire: its answers, its ledger, its lies."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import hl7
import hl7.client
import pytest
import structlog
from structlog.testing import capture_logs

from app.domain.errors import Unavailable
from app.domain.study import ReceivedOrder
from app.hl7.acknowledgement import Acknowledgement, parse_ack
from app.hl7.ledger_query import RECEIVER, LedgerQuery, build_query, parse_response
from app.receivers.mllp import Lies, MllpReceiver
from app.receivers.mllp.ledger import Ledger
from app.util.mllp import Deframer, frame
from tests.contract.mllp_orders import RUN_KEY, ledger_of, order, send
from tests.contract.mllp_peers import running_receiver
from tests.services.processes import wait_until


class Client:
    """A sender that checks nothing: bytes out, messages in."""

    def __init__(self, port: int) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that unread answers soon pile up
        self._socket.settimeout(10)
        self._socket.connect(("127.0.0.1", port))
        self._deframer = Deframer()
        self._messages: list[bytes] = []

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> bytes:
        """The next message; empty when the receiver closed the connection."""
        while not self._messages:
            chunk = self._socket.recv(65_536)
            if not chunk:
                return b""
            self._messages += self._deframer.feed(chunk)
        return self._messages.pop(0)

    def ask(self, message: bytes) -> Acknowledgement:
        self.send(frame(message))
        return parse_ack(self.read())

    def close(self) -> None:
        self._socket.close()


@contextmanager
def client_of(port: int) -> Iterator[Client]:
    client = Client(port)
    try:
        yield client
    finally:
        client.close()


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_an_order_is_acknowledged_and_kept() -> None:
    with running_receiver() as receiver, client_of(receiver.port) as client:
        assert client.ask(order(7).message) == Acknowledgement("AA", order(7).control_id, "", RECEIVER)
        assert ledger_of(receiver.port) == [
            ReceivedOrder(order(7).control_id, "7K3QX0AB00007", "patient", "Doe^Jane", copies=1)
        ]


def test_a_repeated_message_is_acknowledged_again_and_not_kept_again() -> None:
    with running_receiver() as receiver, client_of(receiver.port) as client:
        assert [client.ask(order(7).message).code for _ in range(3)] == ["AA"] * 3
        assert [kept.copies for kept in ledger_of(receiver.port)] == [1]
        assert receiver.ledger.repeats == 2


def test_merged_and_split_frames_are_answered_in_order() -> None:
    stream = b"".join(frame(order(number).message) + b"\r\n" for number in range(5))
    with running_receiver() as receiver, client_of(receiver.port) as client:
        client.send(stream)
        for start in range(0, len(stream), 50):
            client.send(stream[start : start + 50])
        answers = [parse_ack(client.read()).control_id for _ in range(10)]
    assert answers == [order(number).control_id for number in range(5)] * 2


@pytest.mark.parametrize(
    ("before", "after", "missing"),
    [
        (b"|7K3QX0AB0000101|", b"||", "MSH-10"),
        (b"|ORM^O01|", b"||", "MSH-9"),
        (b"PID|1||patient|", b"PID|1|||", "PID-3"),
        (b"OBR|1|1P|", b"OBR|1||", "OBR-18"),
    ],
)
def test_a_message_without_what_a_receiver_needs_is_rejected(before: bytes, after: bytes, missing: str) -> None:
    message = order(1).message.replace(b"|7K3QX0AB00001\r", b"|\r") if missing == "OBR-18" else order(1).message
    assert before in message
    with running_receiver() as receiver, client_of(receiver.port) as client:
        acknowledgement = client.ask(message.replace(before, after))
        assert acknowledgement.code == "AR"
        assert missing in acknowledgement.text
        assert len(receiver.ledger) == 0


def test_a_message_that_is_no_order_is_acknowledged_only() -> None:
    adt = b"MSH|^~\\&|ADT|SIM|RIS|H|20260105080000||ADT^A04|1|T|2.3.1\rPID|1||P1\r"
    with running_receiver() as receiver, client_of(receiver.port) as client:
        assert client.ask(adt).code == "AA"
        assert len(receiver.ledger) == 0


@pytest.mark.parametrize("nonsense", [frame(b"hello"), b"\x0b" + b"x" * (2 << 20)], ids=["no MSH", "endless"])
def test_nobody_to_answer_closes_the_connection_and_no_other(nonsense: bytes) -> None:
    with running_receiver() as receiver, client_of(receiver.port) as other, client_of(receiver.port) as client:
        assert other.ask(order(1).message).code == "AA"
        with suppress(ConnectionError):  # it may close while we still send
            client.send(frame(order(2).message) + nonsense)
            assert parse_ack(client.read()).control_id == order(2).control_id
            assert client.read() == b""
        assert other.ask(order(3).message).code == "AA"


def test_a_sender_that_does_not_read_is_not_read_either() -> None:
    """Its answers would pile up in memory."""
    query = build_query(LedgerQuery("Q1", "tag", RUN_KEY), datetime(2026, 1, 5))  # noqa: DTZ001 - any moment
    questions = 60
    with running_receiver() as receiver:
        send(receiver.port, [order(number, f"P{number}") for number in range(1000)], connections=8)
        with client_of(receiver.port) as client:
            client.send(frame(query) * questions)
            wait_until(lambda: any(not one.is_reading() for one in receiver.connections), 10, "the receiver pauses")
            pages = [parse_response(client.read()) for _ in range(questions)]
            assert {len(page.orders) for page in pages} == {1000}
            assert client.ask(order(1).message).code == "AA"


def test_many_connections() -> None:
    with running_receiver() as receiver:
        verdicts = send(receiver.port, [order(number, f"P{number}") for number in range(1000)], connections=128)
        assert set(verdicts.values()) == {"accepted"}
        assert len(receiver.ledger) == 1000


def test_a_full_ledger_says_so_instead_of_forgetting() -> None:
    with running_receiver(ledger=Ledger(limit=2)) as receiver, client_of(receiver.port) as client:
        answers = [client.ask(order(number).message) for number in range(3)]
        assert [answer.code for answer in answers] == ["AA", "AA", "AE"]
        assert "the ledger is full (2 orders)" in answers[2].text
        assert client.ask(order(1).message).code == "AA"


def test_a_delay_holds_back_every_answer() -> None:
    with running_receiver(delay=0.1) as receiver, client_of(receiver.port) as client:
        began = time.monotonic()
        assert client.ask(order(1).message).code == "AA"
        assert time.monotonic() - began >= 0.1


def test_an_address_in_use_is_reported() -> None:
    with running_receiver() as receiver:
        port = receiver.port

        async def second() -> None:
            async with MllpReceiver(port=port):
                pass

        with pytest.raises(Unavailable, match=f"can't listen on 127.0.0.1:{port}: .*address already in use"):
            asyncio.run(second())


# --- Lies -------------------------------------------------------------------------------------------------------------

TRUTH = [order(number, lane=f"P{number}") for number in range(30)]


def test_dropped_orders_are_acknowledged_and_not_kept() -> None:
    with running_receiver(lies=Lies(drop=3)) as receiver:
        assert set(send(receiver.port, TRUTH).values()) == {"accepted"}
        send(receiver.port, TRUTH)  # a resent order stays dropped
        kept = {received.control_id for received in ledger_of(receiver.port)}
    assert {message.number for message in TRUTH if message.control_id not in kept} == {1, 4, 7}


def test_duplicated_orders_are_kept_twice() -> None:
    with running_receiver(lies=Lies(duplicate=2)) as receiver:
        assert set(send(receiver.port, TRUTH).values()) == {"accepted"}
        assert [received.copies for received in ledger_of(receiver.port)] == [1, 2, 1, 1, 2] + [1] * 25


def test_swapped_orders_are_kept_under_the_patient_of_the_order_before() -> None:
    with running_receiver(lies=Lies(swap_patient=2)) as receiver:
        send(receiver.port, TRUTH)
        patients = [received.patient_id for received in ledger_of(receiver.port)]
    wrong = {number: patient for number, patient in enumerate(patients) if patient != f"P{number}"}
    assert wrong == {1: "P0", 4: "P3"}


def test_a_patient_is_swapped_only_with_another() -> None:
    same = [order(number, lane="P0") for number in range(5)]
    with running_receiver(lies=Lies(swap_patient=1)) as receiver:
        send(receiver.port, [*same, order(5, lane="P5")])
        assert [received.patient_id for received in ledger_of(receiver.port)] == ["P0"] * 6


def test_rejected_orders_stay_rejected() -> None:
    with running_receiver(lies=Lies(reject=2)) as receiver:
        for _ in range(2):
            verdicts = send(receiver.port, TRUTH)
            assert {number for number, verdict in verdicts.items() if verdict == "rejected"} == {1, 4}


def test_an_error_is_answered_once() -> None:
    with running_receiver(lies=Lies(error=1)) as receiver, client_of(receiver.port) as client:
        codes = [client.ask(order(number).message).code for number in (0, 1, 1, 1)]
        assert codes == ["AA", "AE", "AA", "AA"]
        assert receiver.ledger.repeats == 1


@pytest.fixture
def all_logs() -> Iterator[None]:
    """Structlog as it is before a program sets it up, whatever an earlier test did."""
    configuration = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**configuration)


@pytest.mark.usefixtures("all_logs")
def test_it_logs_which_orders_it_lied_about() -> None:
    with capture_logs() as logs, running_receiver(lies=Lies(drop=1)) as receiver:
        send(receiver.port, TRUTH)
    told = [(line["lie"], line["control_id"]) for line in logs if line["event"] == "lie told"]
    assert told == [("drop", TRUTH[1].control_id)]


def test_lies_of_several_kinds_take_turns() -> None:
    with running_receiver(lies=Lies(drop=2, duplicate=1, reject=1)) as receiver:
        verdicts = send(receiver.port, TRUTH)
        received = {one.control_id: one for one in ledger_of(receiver.port)}
    assert [number for number, verdict in verdicts.items() if verdict == "rejected"] == [7]
    assert received[order(4).control_id].copies == 2
    assert order(1).control_id not in received
    assert order(10).control_id not in received
    assert len(received) == 27


# --- Other people's software ------------------------------------------------------------------------------------------


def test_python_hl7_as_the_sender() -> None:
    with running_receiver() as receiver, hl7.client.MLLPClient("127.0.0.1", receiver.port) as client:
        for number in range(20):
            answer = hl7.parse(client.send_message(order(number).message).strip(b"\x0b\x1c\r").decode())
            assert str(answer["MSA"][0][1]) == "AA"
            assert str(answer["MSA"][0][2]) == order(number).control_id
        assert len(receiver.ledger) == 20
