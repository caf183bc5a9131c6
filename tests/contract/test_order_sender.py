"""What an order sender promises of one order, over real sockets and against peers that break every rule."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from app.hl7.acknowledgement import build_ack
from app.ports import OrderOutcome
from app.util.mllp import frame
from tests.contract.mllp_orders import order, outcomes, sender_to
from tests.contract.mllp_peers import Conversation, Script, ScriptedPeer, acknowledge_all


def send_one(*scripts: Script, **options: Any) -> OrderOutcome:
    with ScriptedPeer(*scripts) as peer, sender_to(peer.port, **options) as sender:
        sender.submit(order())
        return outcomes(sender, 1)[0]


# --- Answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_accepted(code: str) -> None:
    outcome = send_one(lambda peer: peer.answer(peer.read(), code))  # type: ignore[arg-type]
    assert (outcome.number, outcome.verdict, outcome.code, outcome.reason) == (1, "accepted", code, "")
    assert (outcome.attempts, outcome.timeouts, outcome.errors, outcome.possibly_duplicated) == (1, 0, 0, False)
    assert outcome.sender == "PEER"
    assert outcome.acknowledgement == build_ack(order().message, code, sending_application="PEER")  # type: ignore[arg-type]
    assert 0 < outcome.ack_seconds < 5


@pytest.mark.parametrize("code", ["AR", "CR"])
def test_rejected_is_not_sent_again(code: str) -> None:
    outcome = send_one(lambda peer: peer.answer(peer.read(), code, "no such patient"))  # type: ignore[arg-type]
    assert (outcome.verdict, outcome.code, outcome.attempts) == ("rejected", code, 1)
    assert outcome.reason == f"{code}: no such patient"


@pytest.mark.parametrize("code", ["AE", "CE"])
def test_an_error_is_sent_again_on_the_same_connection(code: str) -> None:
    received = []

    def script(peer: Conversation) -> None:
        for answer in (code, "AA"):
            received.append(peer.read())
            peer.answer(received[-1], answer)  # type: ignore[arg-type]

    outcome = send_one(script)
    assert (outcome.verdict, outcome.code, outcome.attempts, outcome.errors) == ("accepted", "AA", 2, 1)
    assert not outcome.possibly_duplicated
    assert received == [order().message] * 2


def test_errors_end_at_the_limit() -> None:
    def script(peer: Conversation) -> None:
        while True:
            peer.answer(peer.read(), "AE", "table is locked")

    outcome = send_one(script, attempts=4)
    assert (outcome.verdict, outcome.code, outcome.attempts, outcome.errors) == ("error", "AE", 4, 4)
    assert outcome.reason == "AE: table is locked"


# --- Answers in odd shapes --------------------------------------------------------------------------------------------


def ack(message: bytes, **options: Any) -> bytes:
    return frame(build_ack(message, "AA", **options))


def one_byte_at_a_time(peer: Conversation) -> None:
    for byte in ack(peer.read()):
        peer.send(bytes([byte]))


def junk_before(peer: Conversation) -> None:
    peer.send(b"\r\nWelcome to the interface engine\r\n" + ack(peer.read()))


def wrong_control_id_first(peer: Conversation) -> None:
    message = peer.read()
    peer.answer(order(2).message, "AR")
    peer.answer(message)


def two_in_one_piece(peer: Conversation) -> None:
    message = peer.read()
    peer.send(frame(build_ack(order(2).message, "AR")) + ack(message))


def twice(peer: Conversation) -> None:
    peer.send(ack(peer.read()) * 2)
    peer.wait_for_end()


@pytest.mark.parametrize(
    "script",
    [one_byte_at_a_time, junk_before, wrong_control_id_first, two_in_one_piece, twice],
    ids=lambda s: s.__name__,
)
def test_an_answer_is_found_whatever_comes_with_it(script: Script) -> None:
    outcome = send_one(script)
    assert (outcome.verdict, outcome.attempts) == ("accepted", 1)


def test_an_acknowledgement_that_comes_twice_does_not_answer_the_next_message() -> None:
    def script(peer: Conversation) -> None:
        peer.send(ack(peer.read()) * 2)
        peer.answer(peer.read(), "AR")

    with ScriptedPeer(script) as peer, sender_to(peer.port) as sender:
        for number in (1, 2):
            sender.submit(order(number))
        assert [outcome.verdict for outcome in outcomes(sender, 2)] == ["accepted", "rejected"]


# --- Outcomes that are not known --------------------------------------------------------------------------------------


def no_msa(peer: Conversation) -> None:
    peer.read()
    peer.send(frame(b"MSH|^~\\&|PEER\r"))
    peer.wait_for_end()


def no_hl7(peer: Conversation) -> None:
    peer.read()
    peer.send(frame(b"OK"))
    peer.wait_for_end()


def endless(peer: Conversation) -> None:
    peer.read()
    peer.send(b"\x0b")
    while True:
        peer.send(b"x" * 65_536)


def close_after_reading(peer: Conversation) -> None:
    peer.read()


def reset_in_the_answer(peer: Conversation) -> None:
    peer.send(ack(peer.read())[:20])
    peer.reset()


def cut_at_once(peer: Conversation) -> None:
    peer.reset()


def silent(peer: Conversation) -> None:
    peer.wait_for_end()


def never_ending(peer: Conversation) -> None:
    peer.send(ack(peer.read())[:-2])
    peer.wait_for_end()


def always_another(peer: Conversation) -> None:
    peer.read()
    peer.send(ack(order(2).message) * 3)
    peer.wait_for_end()


UNKNOWN: list[tuple[Script, str]] = [
    (no_msa, "unreadable acknowledgement: the answer has no MSA segment"),
    (no_hl7, "unreadable acknowledgement"),
    (endless, "no end of block within 1048576 bytes"),
    (close_after_reading, "connection closed by the receiver"),
    (reset_in_the_answer, "connection reset by peer"),
    (silent, "no acknowledgement within 1 s"),
    (never_ending, "incomplete acknowledgement within 1 s"),
    (always_another, "no acknowledgement within 1 s; 3 for another message ignored"),
]


@pytest.mark.parametrize(("script", "reason"), UNKNOWN, ids=lambda value: getattr(value, "__name__", ""))
def test_an_unknown_outcome_is_sent_again_on_a_new_connection(script: Script, reason: str) -> None:
    outcome = send_one(script, acknowledge_all, ack_timeout=1.0)
    assert (outcome.verdict, outcome.attempts, outcome.possibly_duplicated) == ("accepted", 2, True)
    assert outcome.timeouts == ("within" in reason and "block" not in reason)


@pytest.mark.parametrize(("script", "reason"), UNKNOWN, ids=lambda value: getattr(value, "__name__", ""))
def test_an_unknown_outcome_fails_where_the_destination_says_so(script: Script, reason: str) -> None:
    outcome = send_one(script, ack_timeout=1.0, on_unknown="fail")
    assert (outcome.verdict, outcome.code, outcome.attempts) == ("unknown", "", 1)
    assert outcome.reason.startswith(reason)
    assert not outcome.possibly_duplicated


def test_unknown_outcomes_end_at_the_limit() -> None:
    outcome = send_one(silent, ack_timeout=0.2, attempts=3)
    assert (outcome.verdict, outcome.attempts, outcome.timeouts, outcome.possibly_duplicated) == ("unknown", 3, 3, True)
    assert outcome.reason == "no acknowledgement within 0.2 s"
    assert outcome.ack_seconds >= 0.2


def test_the_wait_for_a_free_connection_is_told_apart_from_the_wait_for_the_answer() -> None:
    both_wait = threading.Event()

    def slow_at_first(peer: Conversation) -> None:
        message = peer.read()
        both_wait.wait(10)
        peer.answer(message)
        acknowledge_all(peer)

    with ScriptedPeer(slow_at_first) as peer, sender_to(peer.port) as sender:
        sender.submit(order(1, "a"))
        sender.submit(order(2, "b"))
        submitted = time.monotonic()
        threading.Event().wait(0.2)
        waited = time.monotonic() - submitted
        both_wait.set()
        first, second = outcomes(sender, 2)
    assert second.wait_seconds >= waited
    assert second.total_seconds == second.ack_seconds
    assert first.wait_seconds + first.ack_seconds >= waited


def test_the_total_counts_every_transmission() -> None:
    outcome = send_one(silent, acknowledge_all, ack_timeout=0.2)
    assert outcome.attempts == 2
    assert outcome.total_seconds >= 0.2 + outcome.ack_seconds


def test_a_peer_that_accepts_and_cuts_ends_in_an_unknown_outcome() -> None:
    """Or in none, where the cut comes before the first transmission: then nothing can have arrived."""
    assert send_one(cut_at_once).verdict in ("unknown", "unreachable")


def test_a_late_acknowledgement_is_not_read() -> None:
    """The first connection is closed by then; the answer to the second transmission counts."""
    late: list[bytes] = []

    def too_late(peer: Conversation) -> None:
        late.append(peer.read())
        peer.wait_for_end()
        with suppress(OSError):
            peer.answer(late[0], "AR")

    outcome = send_one(too_late, acknowledge_all, ack_timeout=1.0)
    assert (outcome.verdict, outcome.timeouts, outcome.attempts) == ("accepted", 1, 2)


def test_a_message_larger_than_the_sockets_take_at_once() -> None:
    may_read = threading.Event()

    def slow_reader(peer: Conversation) -> None:
        may_read.wait(10)
        peer.answer(peer.read())

    with ScriptedPeer(slow_reader) as peer, sender_to(peer.port) as sender:
        sender.submit(order(size=8 << 20))
        assert sender.completed(timeout=0.05) == []
        may_read.set()
        assert outcomes(sender, 1)[0].verdict == "accepted"


def test_an_idle_connection_that_the_peer_closed_is_replaced() -> None:
    """Nothing was in flight, so nothing is in doubt."""

    def one_only(peer: Conversation) -> None:
        peer.answer(peer.read())

    with ScriptedPeer(one_only, acknowledge_all) as peer, sender_to(peer.port) as sender:
        sender.submit(order(1))
        outcomes(sender, 1)
        assert sender.completed(timeout=1.0) == []  # time for the end of the connection to be noticed
        sender.submit(order(2))
        outcome = outcomes(sender, 1)[0]
    assert (outcome.verdict, outcome.attempts, outcome.possibly_duplicated) == ("accepted", 1, False)
