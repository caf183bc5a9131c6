"""An order sender against a receiver out of its mind: one outcome an order, and a patient's orders never overtake."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from app.hl7.acknowledgement import build_ack
from app.util.mllp import frame
from tests.contract.mllp_orders import order, outcomes, sender_to
from tests.contract.mllp_peers import Conversation, ScriptedPeer


def accept(peer: Conversation, message: bytes) -> None:
    peer.answer(message)


def accept_byte_by_byte(peer: Conversation, message: bytes) -> None:
    for byte in frame(build_ack(message, "AA")):
        peer.send(bytes([byte]))


def fail(peer: Conversation, message: bytes) -> None:
    peer.answer(message, "AE")


def hang_up(peer: Conversation, message: bytes) -> None:
    raise EOFError


def reset(peer: Conversation, message: bytes) -> None:
    peer.send(frame(build_ack(message, "AA"))[:-1])
    peer.reset()


def talk_nonsense(peer: Conversation, message: bytes) -> None:
    peer.send(b"junk" + frame(b"MSH|junk"))


def answer_another(peer: Conversation, message: bytes) -> None:
    peer.answer(order(999).message)


def ignore(peer: Conversation, message: bytes) -> None:
    pass


MOODS: dict[Callable[[Conversation, bytes], None], int] = {
    accept: 20,
    accept_byte_by_byte: 10,
    fail: 10,
    hang_up: 5,
    reset: 5,
    talk_nonsense: 5,
    answer_another: 1,
    ignore: 1,
}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_each_order_has_one_true_outcome_and_each_patient_an_order(seed: int) -> None:
    chance = random.Random(seed)
    lock = threading.Lock()
    arrived: list[bytes] = []
    accepted: set[bytes] = set()

    def mad(peer: Conversation) -> None:
        while True:
            message = peer.read()
            with lock:
                (mood,) = chance.choices(list(MOODS), list(MOODS.values()))
                arrived.append(message)
                if mood in (accept, accept_byte_by_byte):
                    accepted.add(message)
            mood(peer, message)

    sent = [order(number, lane=f"P{number * 7 % 30}") for number in range(200)]
    with ScriptedPeer(mad) as peer, sender_to(peer.port, connections=16, ack_timeout=0.5, attempts=4) as sender:
        for one in sent:
            sender.submit(one)
        results = {outcome.number: outcome for outcome in outcomes(sender, len(sent), seconds=30.0)}

    assert set(results) == {one.number for one in sent}
    for one in sent:
        result = results[one.number]
        assert result.attempts == arrived.count(one.message)
        assert 1 <= result.attempts <= 4
        assert one.message in accepted or result.verdict != "accepted"
        assert result.attempts > 1 or not result.possibly_duplicated
    for lane in {one.lane for one in sent}:
        transmissions = [one.message for one in sent if one.lane == lane for _ in range(results[one.number].attempts)]
        assert [message for message in arrived if f"||{lane}||".encode() in message] == transmissions
