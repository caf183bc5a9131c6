"""What an order sender promises of many orders and its connections: patients' order, withdrawal, nobody there, TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress

import pytest
import trustme

from app.adapters.senders.mllp import MllpOrderSender
from app.domain.destination import Hl7Destination
from app.hl7.acknowledgement import build_ack
from app.receivers.mllp import Lies
from app.util.mllp import Answer, Exchange, MllpClient, Peer, Policy, frame
from tests.contract.mllp_orders import order, outcomes, send, sender_to
from tests.contract.mllp_peers import Conversation, ScriptedPeer, acknowledge_all, python_hl7_receiver, running_receiver
from tests.services.processes import free_port

# --- Order of sending -------------------------------------------------------------------------------------------------


def test_messages_of_a_patient_keep_their_order_and_wait_for_each_others_acknowledgement() -> None:
    """Eight connections, and every order that is answered AE holds back what follows for the same patient."""
    arrived: list[tuple[str, int]] = []

    def note(message: bytes) -> None:
        lane = message.split(b"PID|1||")[1].split(b"|")[0].decode()
        arrived.append((lane, int(message.split(b"OBR|1|")[1].split(b"P")[0])))

    with (
        running_receiver(lies=Lies(error=40), on_message=note) as receiver,
        sender_to(receiver.port, connections=8) as sender,
    ):
        for number in range(400):
            sender.submit(order(number, lane=f"P{number % 20}"))
        results = outcomes(sender, 400)
    assert {result.verdict for result in results} == {"accepted"}
    assert sum(result.errors for result in results) == 40
    assert len(arrived) == 440
    for patient in range(20):
        numbers = [number for lane, number in arrived if lane == f"P{patient}"]
        assert numbers == sorted(numbers)


def test_one_message_at_a_time_on_a_connection() -> None:
    pipelined: list[bytes] = []

    def script(peer: Conversation) -> None:
        for _ in range(3):
            message = peer.read()
            peer.socket.setblocking(False)
            with suppress(BlockingIOError):
                pipelined.append(peer.socket.recv(10))
            peer.socket.settimeout(10)
            peer.answer(message)

    with ScriptedPeer(script) as peer, sender_to(peer.port) as sender:
        for number in range(3):
            sender.submit(order(number, lane=f"P{number}"))
        assert [outcome.number for outcome in outcomes(sender, 3)] == [0, 1, 2]
    assert pipelined == []


def test_an_order_that_is_tried_again_does_not_hold_back_other_patients() -> None:
    def script(peer: Conversation) -> None:
        peer.answer(peer.read(), "AE")
        acknowledge_all(peer)

    with ScriptedPeer(script) as peer, sender_to(peer.port, resend_delay=0.3) as sender:
        for number, lane in enumerate(["anne", "anne", "bert", "carl"]):
            sender.submit(order(number, lane))
        assert [outcome.number for outcome in outcomes(sender, 4)] == [2, 3, 0, 1]


def test_an_outcome_does_not_wait_for_an_order_that_is_not_answered() -> None:
    def script(peer: Conversation) -> None:
        peer.answer(peer.read())
        peer.wait_for_end()

    with ScriptedPeer(script) as peer, sender_to(peer.port, ack_timeout=30.0) as sender:
        sender.submit(order(1))
        sender.submit(order(2))
        assert [outcome.number for outcome in outcomes(sender, 1)] == [1]


# --- Withdrawing ------------------------------------------------------------------------------------------------------


def test_withdraw_takes_back_what_was_never_transmitted() -> None:
    first_came, go_on = threading.Event(), threading.Event()

    def script(peer: Conversation) -> None:
        message = peer.read()
        first_came.set()
        go_on.wait(10)
        peer.answer(message)
        acknowledge_all(peer)

    with ScriptedPeer(script) as peer, sender_to(peer.port) as sender:
        for number in range(5):
            sender.submit(order(number))
        assert first_came.wait(10)
        assert sorted(sender.withdraw()) == [1, 2, 3, 4]
        assert sender.withdraw() == []
        go_on.set()
        assert outcomes(sender, 1)[0].number == 0
        sender.submit(order(9))
        assert outcomes(sender, 1)[0].number == 9


def test_withdraw_leaves_what_waits_to_be_sent_again() -> None:
    def script(peer: Conversation) -> None:
        peer.answer(peer.read(), "AE")
        came.set()
        acknowledge_all(peer)

    came = threading.Event()
    with ScriptedPeer(script) as peer, sender_to(peer.port, resend_delay=0.3) as sender:
        for number in range(3):
            sender.submit(order(number))
        assert came.wait(10)
        assert sorted(sender.withdraw()) == [1, 2]
        outcome = outcomes(sender, 1)[0]
    assert (outcome.number, outcome.verdict, outcome.attempts) == (0, "accepted", 2)


# --- Nobody there -----------------------------------------------------------------------------------------------------


def test_an_unreachable_destination_ends_every_waiting_order_with_a_reason() -> None:
    port = free_port()
    with sender_to(port, connections=8) as sender:
        for number in range(5000):
            sender.submit(order(number, lane=f"P{number}"))
        results = outcomes(sender, 5000)
    assert {(result.verdict, result.attempts, result.possibly_duplicated) for result in results} == {
        ("unreachable", 0, False)
    }
    assert {result.reason for result in results} == {
        f"could not connect to 127.0.0.1:{port}: connection refused; is the receiver running?"
    }


def test_a_destination_that_comes_back_is_found_again() -> None:
    port = free_port()
    with sender_to(port) as sender:
        sender.submit(order(1))
        assert outcomes(sender, 1)[0].verdict == "unreachable"
        with running_receiver(port=port):
            sender.submit(order(2))
            assert outcomes(sender, 1)[0].verdict == "accepted"


def test_a_receiver_that_restarts_is_bridged() -> None:
    port = free_port()
    with sender_to(port, connections=4) as sender:
        for start in (0, 20):
            with running_receiver(port=port) as receiver:
                for number in range(start, start + 20):
                    sender.submit(order(number, lane=f"P{number}"))
                assert {outcome.verdict for outcome in outcomes(sender, 20)} == {"accepted"}
                assert len(receiver.ledger) == 20


def test_an_order_that_was_answered_with_an_error_can_be_unreachable_afterwards() -> None:
    """It has no verdict yet: it may be submitted again, and what it was answered is told."""

    def answer_once(peer: Conversation) -> None:
        peer.answer(peer.read(), "AE", "try later")
        listener.stop_listening()

    with ScriptedPeer(answer_once) as listener, sender_to(listener.port) as sender:
        sender.submit(order())
        outcome = outcomes(sender, 1)[0]
    assert (outcome.verdict, outcome.code, outcome.attempts, outcome.errors) == ("unreachable", "AE", 1, 1)
    assert outcome.reason.startswith("AE: try later; could not connect to 127.0.0.1:")


def test_an_order_in_doubt_can_be_unreachable_afterwards() -> None:
    """Its receiver took it and went away; its attempts say that it may be there."""

    def take_and_leave(peer: Conversation) -> None:
        peer.read()
        listener.stop_listening()

    with ScriptedPeer(take_and_leave) as listener, sender_to(listener.port) as sender:
        sender.submit(order())
        outcome = outcomes(sender, 1)[0]
    assert (outcome.verdict, outcome.code, outcome.attempts, outcome.errors) == ("unreachable", "", 1, 0)


def test_what_was_unreachable_is_sent_when_it_is_submitted_again() -> None:
    port = free_port()
    with sender_to(port, connections=4) as sender:
        for number in range(20):
            sender.submit(order(number, lane=f"P{number}"))
        assert {outcome.verdict for outcome in outcomes(sender, 20)} == {"unreachable"}
        with running_receiver(port=port) as receiver:
            for number in range(20):
                sender.submit(order(number, lane=f"P{number}"))
            assert {outcome.verdict for outcome in outcomes(sender, 20)} == {"accepted"}
            assert len(receiver.ledger) == 20


@pytest.mark.parametrize(
    ("host", "reason"),
    [("no-such-host.invalid", "host name not known; is it spelled right?"), ("a" * 70, "host name not known")],
)
def test_a_host_that_has_no_address(host: str, reason: str) -> None:
    with sender_to(2575, host=host) as sender:
        sender.submit(order())
        outcome = outcomes(sender, 1)[0]
    assert (outcome.verdict, outcome.attempts) == ("unreachable", 0)
    assert reason in outcome.reason


def test_a_peer_whose_backlog_is_full_is_given_up_after_the_connect_timeout() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        occupying = [socket.socket() for _ in range(3)]
        for one in occupying:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        with sender_to(port, connect_timeout=0.2) as sender:
            sender.submit(order())
            outcome = outcomes(sender, 1)[0]
        for one in occupying:
            one.close()
    assert (outcome.verdict, outcome.attempts) == ("unreachable", 0)
    assert "no connection within 0.2 s; is the address right?" in outcome.reason


def test_the_next_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedPeer(acknowledge_all) as peer:
        addresses = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", peer.port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: list(addresses))
        with sender_to(peer.port, host="ris.example") as sender:
            sender.submit(order())
            assert outcomes(sender, 1)[0].verdict == "accepted"


def test_an_ipv6_address_is_named_in_brackets() -> None:
    port = free_port()
    with sender_to(port, host="::1") as sender:
        sender.submit(order())
        assert outcomes(sender, 1)[0].reason.startswith(f"could not connect to [::1]:{port}: ")


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls(authority: trustme.CA) -> None:
    with (
        running_receiver(tls=server_context(authority)) as receiver,
        sender_to(receiver.port, client_context(authority), connections=4) as sender,
    ):
        for number in range(200):
            sender.submit(order(number, lane=f"P{number}", size=40_000 if number % 20 == 0 else 0))
        assert {outcome.verdict for outcome in outcomes(sender, 200)} == {"accepted"}
    assert len(receiver.ledger) == 200


def test_tls_answers_larger_than_a_record(authority: trustme.CA) -> None:
    def script(peer: Conversation) -> None:
        message = peer.read()
        another = frame(build_ack(order(2).message, "AA"))
        peer.send(another * 500)
        peer.answer(message)

    with (
        ScriptedPeer(script, tls=server_context(authority)) as peer,
        sender_to(peer.port, client_context(authority)) as sender,
    ):
        sender.submit(order())
        assert outcomes(sender, 1)[0].verdict == "accepted"


def test_tls_with_a_certificate_that_is_not_trusted(authority: trustme.CA) -> None:
    with (
        ScriptedPeer(acknowledge_all, tls=server_context(authority)) as peer,
        sender_to(peer.port, client_context(trustme.CA())) as sender,
    ):
        sender.submit(order())
        outcome = outcomes(sender, 1)[0]
    assert (outcome.verdict, outcome.attempts) == ("unreachable", 0)
    assert "its certificate is not trusted" in outcome.reason


def test_tls_to_a_peer_that_speaks_plain(authority: trustme.CA) -> None:
    def plain(peer: Conversation) -> None:
        peer.socket.recv(1000)
        peer.send(b"what is this?\r\n" * 20)

    with ScriptedPeer(plain) as peer, sender_to(peer.port, client_context(authority)) as sender:
        sender.submit(order())
        outcome = outcomes(sender, 1)[0]
    assert (outcome.verdict, outcome.attempts) == ("unreachable", 0)
    assert "does the receiver expect TLS" in outcome.reason or "tls failed" in outcome.reason


def test_tls_without_a_context_is_refused() -> None:
    with pytest.raises(ValueError, match="asks for TLS"):
        MllpOrderSender(Hl7Destination(host="127.0.0.1", port=2575, tls=True))


# --- Other people's receivers -----------------------------------------------------------------------------------------


def test_python_hl7_as_the_receiver() -> None:
    with python_hl7_receiver() as port:
        verdicts = send(port, [order(number, f"P{number}") for number in range(100)], connections=4)
    assert set(verdicts.values()) == {"accepted"}


# --- Resources --------------------------------------------------------------------------------------------------------


def test_one_thread_whatever_the_number_of_orders_and_none_after_closing() -> None:
    with running_receiver() as receiver:
        before = threading.active_count()
        with sender_to(receiver.port, connections=16) as sender:
            for number in range(2000):
                sender.submit(order(number, lane=f"P{number}"))
            assert threading.active_count() == before + 1
            outcomes(sender, 2000)
            assert len(receiver.connections) == 16
        assert threading.active_count() == before


def test_closing_while_the_peer_hangs_up() -> None:
    def hang_up(peer: Conversation) -> None:
        peer.answer(peer.read())

    for _ in range(50):
        with ScriptedPeer(hang_up) as peer, sender_to(peer.port) as sender:
            sender.submit(order())
            outcomes(sender, 1)


def test_a_defect_in_the_thread_is_raised_where_outcomes_are_read() -> None:
    def defective(message: bytes, control_id: str) -> Answer[None] | None:
        raise KeyError(control_id)

    with ScriptedPeer(acknowledge_all) as peer:
        client = MllpClient(Peer("127.0.0.1", peer.port), Policy(connections=1), defective)
        client.submit(Exchange(1, "patient", "1", order().message))
        with pytest.raises(RuntimeError, match="died"):
            client.completed(timeout=10)
        client.close()


def test_what_was_answered_before_a_defect_is_handed_over_all_the_same() -> None:
    def defective(message: bytes, control_id: str) -> Answer[None] | None:
        if control_id == "2":
            raise KeyError(control_id)
        return Answer("accepted", None)

    with ScriptedPeer(acknowledge_all) as peer:
        client = MllpClient(Peer("127.0.0.1", peer.port), Policy(connections=1), defective)
        for key in (1, 2):
            client.submit(Exchange(key, "patient", str(key), order(key).message))
        assert [exchange.key for exchange in client.completed(timeout=10)] == [1]
        with pytest.raises(RuntimeError, match="died"):
            client.completed(timeout=10)
        client.close()
