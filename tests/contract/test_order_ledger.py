"""Asking an HL7 receiver what it has: ours, over the wire, and those that can't be asked."""

from __future__ import annotations

import pytest

from app.domain.errors import NotAnswerable, Unavailable
from app.domain.study import ReceivedOrder
from app.domain.template import Hl7
from app.hl7.orm import OrmRenderer
from app.hl7.person_name import xpn_text
from app.ports import OutboundOrder
from tests.contract.mllp_orders import RUN_KEY, ledger_of, order, outcomes, send, sender_to
from tests.contract.mllp_peers import Conversation, Script, ScriptedPeer, acknowledge_all, running_receiver
from tests.services.processes import free_port
from tests.unit.sample_orders import orders


def test_a_ledger_of_3000_orders_is_read_page_by_page_and_true_to_the_letter() -> None:
    planned = orders(3000)
    renderer = OrmRenderer(Hl7())
    messages = [OutboundOrder(o.number, o.control_id, o.patient.patient_id, renderer.render(o)) for o in planned]
    with running_receiver() as receiver:
        send(receiver.port, messages, connections=8)
        foreign = order(2).message.replace(RUN_KEY.encode(), b"ZZZZZZZZ")
        send(receiver.port, [OutboundOrder(2, "ZZZZZZZZ0000201", "x", foreign)])
        received = ledger_of(receiver.port)
        assert len(ledger_of(receiver.port, "ZZZZ")) == 1
        assert len(ledger_of(receiver.port, RUN_KEY + "000")) > 1000
        assert ledger_of(receiver.port, "NOBODY00") == []
    assert sorted(received, key=lambda one: one.accession) == [
        ReceivedOrder(o.control_id, o.accession, o.patient.patient_id, xpn_text(o.patient.name), copies=1)
        for o in planned
    ]


def refuse_query(peer: Conversation) -> None:
    peer.answer(peer.read(), "AR", "unsupported message type")


def error_on_query(peer: Conversation) -> None:
    peer.answer(peer.read(), "AE")


def silent(peer: Conversation) -> None:
    peer.wait_for_end()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (acknowledge_all, "keeps no ledger: the answer is 'ACK"),
        (refuse_query, "keeps no ledger: it answers AR unsupported message type"),
        (error_on_query, "keeps no ledger: it answers AE"),
        (silent, "does not answer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_receiver_without_a_ledger_is_not_answerable(script: Script, reason: str) -> None:
    with ScriptedPeer(script) as peer, pytest.raises(NotAnswerable, match=reason):
        ledger_of(peer.port, time_limit=0.2)


def test_a_receiver_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="connection refused; is the receiver running"):
        ledger_of(free_port())


def test_a_receiver_that_breaks_off_is_unavailable() -> None:
    def break_off(peer: Conversation) -> None:
        peer.read()

    with ScriptedPeer(break_off) as peer, pytest.raises(Unavailable, match="closed by the receiver"):
        ledger_of(peer.port)


def test_a_query_for_something_else_is_rejected() -> None:
    query = (
        b"MSH|^~\\&|X||YEETER_RECEIVER||20260105080000||QBP^Z01^QBP_Q13|Q1|T|2.5.1\r"
        b"QPD|Z99^Something|tag|7K3QX0AB\rRCP|I|10^RD\r"
    )
    with running_receiver() as receiver, sender_to(receiver.port) as sender:
        sender.submit(OutboundOrder(1, "Q1", "", query))
        outcome = outcomes(sender, 1)[0]
    assert outcome.verdict == "rejected"
    assert "the only query here is Z01" in outcome.reason
