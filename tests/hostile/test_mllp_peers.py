"""HL7 receivers that break the rules, in the ways that tests/contract/test_order_sender.py does not have; and orders
whose content tries to break the frame, the segment or the field that it stands in."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from app.domain.patient import PersonName
from app.domain.study import ReceivedOrder
from app.domain.template import Hl7
from app.hl7.acknowledgement import build_ack
from app.hl7.orm import OrmRenderer
from app.hl7.person_name import xpn_text
from app.ports import OrderOutcome, OutboundOrder
from app.util.mllp import frame
from tests.contract.mllp_orders import RUN_KEY, ledger_of, order, outcomes, send, sender_to
from tests.contract.mllp_peers import Conversation, Script, ScriptedPeer, acknowledge_all, running_receiver
from tests.services.processes import wait_until
from tests.unit.sample_orders import orders

LARGE = 8 << 20  # bytes of a message: more than the sockets of both sides hold


def outcome_of(message: OutboundOrder, *scripts: Script, ack_timeout: float = 0.3, attempts: int = 2) -> OrderOutcome:
    with ScriptedPeer(*scripts) as peer, sender_to(peer.port, ack_timeout=ack_timeout, attempts=attempts) as sender:
        sender.submit(message)
        return outcomes(sender, 1, seconds=60)[0]


# --- Peers that take nothing, or never stop ---------------------------------------------------------------------------


over = threading.Event()  # for peers that would not notice the end by themselves


def read_a_byte_at_a_time(peer: Conversation) -> None:
    while not over.wait(0.02) and peer.socket.recv(1):
        pass


def zero_window(peer: Conversation) -> None:
    """Reads nothing, so that the window closes and stays so."""
    over.wait(60)


def trickle(peer: Conversation) -> None:
    message = peer.read()
    for byte in frame(build_ack(message, "AA") + b"x" * 100_000):
        peer.send(bytes([byte]))
        time.sleep(0.02)


def junk_without_end(peer: Conversation) -> None:
    peer.read()
    while True:
        peer.send(b"junk" * 10_000)


def answers_to_others_without_end(peer: Conversation) -> None:
    peer.read()
    others = frame(build_ack(order(2).message, "AR")) * 100
    while True:
        peer.send(others)


@pytest.mark.parametrize(
    "script",
    [read_a_byte_at_a_time, zero_window, trickle, junk_without_end, answers_to_others_without_end],
    ids=lambda script: script.__name__,
)
def test_a_peer_without_end_is_left_at_the_time_limit_and_the_outcome_is_unknown(script: Script) -> None:
    over.clear()
    large = order(size=LARGE if script in (read_a_byte_at_a_time, zero_window) else 0)
    with ScriptedPeer(script) as peer, sender_to(peer.port, ack_timeout=1.0, attempts=2) as sender:
        sender.submit(large)
        outcome = outcomes(sender, 1, seconds=60)[0]
        connections = peer.connections
        over.set()
    assert (outcome.verdict, outcome.attempts, outcome.timeouts) == ("unknown", 2, 2)
    assert outcome.possibly_duplicated
    assert "acknowledgement within 1 s" in outcome.reason
    assert connections == 2


def test_a_peer_that_reads_slowly_holds_back_nobody_on_another_connection() -> None:
    """Of two connections the first is stuck; about half of the patients are on the other."""
    over.clear()
    with (
        ScriptedPeer(zero_window, acknowledge_all) as peer,
        sender_to(peer.port, connections=2, ack_timeout=60) as sender,
    ):
        sender.submit(order(0, size=LARGE))
        wait_until(lambda: peer.connections == 1, 30, "the connection that will be stuck")
        for number in range(1, 41):
            sender.submit(order(number, lane=f"P{number}"))
        accepted = [outcome for outcome in sender.completed(timeout=30) if outcome.verdict == "accepted"]
        while len(accepted) < 10:
            accepted += sender.completed(timeout=30)
        assert 0 not in {outcome.number for outcome in accepted}
        over.set()


# --- Answers with content to beware of --------------------------------------------------------------------------------


def answer(*segments: str, codec: str = "utf-8", character_set: str = "") -> Script:
    def script(peer: Conversation) -> None:
        peer.read()
        header = f"MSH|^~\\&|RIS|H|YEETER|SIM|20260105||ACK|A1|T|2.5.1||||||{character_set}"
        peer.send(frame("\r".join((header, *segments, "")).encode(codec)))
        peer.wait_for_end()

    return script


def test_a_text_of_a_megabyte_is_taken_and_the_reason_ends_somewhere() -> None:
    control_id = order().control_id
    outcome = outcome_of(order(), answer(f"MSA|AR|{control_id}|{'x' * 1_000_000}"), ack_timeout=10)
    assert (outcome.verdict, outcome.code, outcome.attempts) == ("rejected", "AR", 1)
    assert outcome.reason.startswith("AR: xxx")
    assert len(outcome.reason) < 2000


@pytest.mark.parametrize(
    ("codec", "character_set", "said"),
    [
        ("latin-1", "", "schlechter Müll"),
        ("latin-1", "UNICODE UTF-8", "schlechter M\ufffdll"),
        ("utf-8", "UNICODE UTF-8", "schlechter Müll"),
        ("utf-8", "KLINGON", "schlechter MÃ¼ll"),
        ("utf-8", "", "schlechter MÃ¼ll"),
    ],
)
def test_an_answer_in_a_character_set_that_is_not_declared_is_read_all_the_same(
    codec: str, character_set: str, said: str
) -> None:
    segment = f"MSA|AR|{order().control_id}|schlechter Müll"
    outcome = outcome_of(order(), answer(segment, codec=codec, character_set=character_set), ack_timeout=10)
    assert (outcome.verdict, outcome.reason) == ("rejected", f"AR: {said}")


@pytest.mark.parametrize("code", ["", "XX", "aa", "A", "AAA", "\\X41\\A"])
def test_a_code_that_is_none_is_no_answer(code: str) -> None:
    outcome = outcome_of(order(), answer(f"MSA|{code}|{order().control_id}"), ack_timeout=10)
    if code == "\\X41\\A":  # escaped, it is AA
        assert outcome.verdict == "accepted"
    else:
        assert (outcome.verdict, outcome.attempts) == ("unknown", 2)
        assert "unreadable acknowledgement: MSA-1 is" in outcome.reason


# --- Orders with content to beware of, from the sender to the ledger --------------------------------------------------

NAMES = {
    "delimiters": PersonName("O|'Hara^", "Ann~&", "\\"),
    "escape sequences": PersonName("\\F\\", "\\X0D\\", "\\E"),
    "carriage return": PersonName("Two\rLines", "OBR|1|", "PID|2"),
    "line feed": PersonName("Two\nLines", "\n", ""),
    "0x0B and 0x1C": PersonName("\x0bStart", "End\x1c\r", "\x1c\x0d\x0bMSH|"),
    "NUL and DEL": PersonName("a\x00b", "c\x7f", ""),
    "not ASCII": PersonName("Łukasiewicz", "山田", "Ѝ"),
    "emoji": PersonName("\U0001f9ea", "é" * 40, ""),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_arrives_as_it_is_whatever_it_holds(name: PersonName) -> None:
    planned = orders(3)
    hostile = replace(planned[1], patient=replace(planned[1].patient, name=name))
    renderer = OrmRenderer(Hl7())
    messages = [
        OutboundOrder(one.number, one.control_id, one.patient.patient_id, renderer.render(one))
        for one in (planned[0], hostile, planned[2])
    ]
    with running_receiver() as receiver:
        assert set(send(receiver.port, messages).values()) == {"accepted"}
        kept = {one.control_id: one for one in ledger_of(receiver.port)}
    assert set(kept) == {one.control_id for one in planned}
    assert kept[hostile.control_id] == ReceivedOrder(
        hostile.control_id, hostile.accession, hostile.patient.patient_id, xpn_text(name), copies=1
    )


@pytest.mark.parametrize(
    ("character_set", "codec", "name"),
    [
        ("", "utf-8", "MÃ¼ller"),
        ("", "latin-1", "Müller"),
        ("8859/1", "utf-8", "MÃ¼ller"),
        ("UNICODE UTF-8", "latin-1", "M\ufffdller"),
        ("KLINGON", "latin-1", "Müller"),
        ("8859/1~~UNICODE UTF-8", "latin-1", "Müller"),
    ],
)
def test_an_order_with_a_wrong_or_missing_character_set_is_taken_and_kept(
    character_set: str, codec: str, name: str
) -> None:
    text = order(1).message.decode().replace("|2.3.1\r", f"|2.3.1||||||{character_set}\r").replace("Doe", "Müller")
    message = replace(order(1), message=text.encode(codec))
    with running_receiver() as receiver:
        assert send(receiver.port, [message]) == {1: "accepted"}
        assert [one.patient_name for one in ledger_of(receiver.port)] == [f"{name}^Jane"]


def test_a_field_of_a_megabyte_arrives() -> None:
    with running_receiver() as receiver:
        assert send(receiver.port, [order(1, size=1_000_000)]) == {1: "accepted"}
        assert len(ledger_of(receiver.port)) == 1


def test_a_field_that_is_longer_than_the_receiver_takes_is_an_unknown_outcome_and_the_next_order_is_taken() -> None:
    with running_receiver() as receiver, sender_to(receiver.port, attempts=2) as sender:
        sender.submit(order(1, size=2 << 20))
        sender.submit(order(2, lane="another"))
        results = {outcome.number: outcome for outcome in outcomes(sender, 2, seconds=60)}
        assert [kept.accession for kept in ledger_of(receiver.port)] == [f"{RUN_KEY}00002"]
    assert (results[1].verdict, results[1].attempts) == ("unknown", 2)
    assert results[2].verdict == "accepted"
