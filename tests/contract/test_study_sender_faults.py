"""The study sender against peers that misbehave: a lost association costs nothing, a second one is a fault."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from app.adapters.senders.dimse import DimseStudySender, PoolLimits, TimeLimits
from app.dicom.network import pdu
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, PermanentError, TemporaryError, TransportFault
from app.domain.study import StoreResult
from tests.contract.instances import instance, study
from tests.contract.scripted_scp import Peer, Script, ScriptedScp, store_everything, store_response
from tests.services.processes import free_port

QUICK = TimeLimits(connect=2.0, acse=0.3, network=0.3, dimse=0.3, release=0.3)
ONE = instance()


@pytest.fixture
def sender() -> Iterator[DimseStudySender]:
    sender = DimseStudySender(time_limits=QUICK)
    yield sender
    sender.close()


def destination(address: str, associations: int = 4) -> DicomDestination:
    parsed = DicomDestination.model_validate(address)
    return parsed.model_copy(update={"associations": associations})


def store(sender: DimseStudySender, scp: ScriptedScp, seconds: float = 20.0) -> StoreResult:
    (result,) = sender.store(destination(scp.address), [ONE], time.monotonic() + seconds)
    return result


# --- Faults before anything was stored --------------------------------------------------------------------------------


def reject(result: int, source: int, reason: int) -> Script:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(pdu.AssociateReject(result, source, reason))

    return script


def silence(peer: Peer) -> None:
    peer.wait_for_end()


def end_at_once(peer: Peer) -> None:
    peer.receive()


def abort_at_once(peer: Peer) -> None:
    peer.receive()
    peer.send(pdu.Abort(2, 1))


def answer_in_http(peer: Peer) -> None:
    peer.receive()
    peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def announce_a_huge_pdu(peer: Peer) -> None:
    peer.receive()
    peer.socket.sendall(b"\2\0\xff\xff\xff\xff")


def answer_with_half_a_pdu(peer: Peer) -> None:
    peer.receive()
    peer.socket.sendall(b"\2\0\0\0\0\4\0\1\0\0")


def release_at_once(peer: Peer) -> None:
    peer.receive()
    peer.send(pdu.ReleaseRequest())


NO_ASSOCIATION = [
    pytest.param(reject(2, 3, 1), "rejected for now: temporary congestion", id="rejected, congestion"),
    pytest.param(reject(2, 3, 2), "rejected for now: local limit exceeded", id="rejected, limit"),
    pytest.param(silence, "no answer to the association request", id="silent"),
    pytest.param(end_at_once, "closed the connection", id="closed"),
    pytest.param(abort_at_once, "an abort by its service provider .reason 1. in answer", id="aborted"),
    pytest.param(answer_in_http, "not DICOM; it begins with b'HTTP/1.1 400", id="HTTP"),
    pytest.param(announce_a_huge_pdu, "a PDU of 4294967295 bytes", id="huge PDU"),
    pytest.param(answer_with_half_a_pdu, "68 bytes expected", id="half a PDU"),
    pytest.param(release_at_once, "a release request in answer", id="released"),
]


@pytest.mark.parametrize(("fault", "reason"), NO_ASSOCIATION)
def test_a_peer_that_gives_no_association_has_a_fault_at_once(
    sender: DimseStudySender, fault: Script, reason: str
) -> None:
    with ScriptedScp(fault) as scp:
        with pytest.raises(TransportFault, match=reason) as raised:
            store(sender, scp)
        assert not isinstance(raised.value, OutcomeUnknown) and not raised.value.misconfigured
        assert scp.address in str(raised.value)
        assert scp.connections == 1


def test_a_peer_that_gave_none_is_asked_again_for_the_next_study(sender: DimseStudySender) -> None:
    with ScriptedScp(reject(2, 3, 2), store_everything) as scp:
        with pytest.raises(TransportFault):
            store(sender, scp)
        assert store(sender, scp).outcome == "stored"


@pytest.mark.parametrize(
    ("source", "reason", "text"),
    [
        (1, 3, "calling AE title not recognized (register YEETER at the archive"),
        (1, 7, "called AE title not recognized (correct the AE title"),
        (1, 2, "application context name not supported"),
        (2, 2, "protocol version not supported"),
        (1, 9, "source 1 reason 9"),
    ],
)
def test_a_permanent_rejection_is_a_fault_of_the_configuration(
    sender: DimseStudySender, source: int, reason: int, text: str
) -> None:
    with ScriptedScp(reject(1, source, reason)) as scp:
        with pytest.raises(TransportFault) as raised:
            store(sender, scp)
        assert raised.value.misconfigured
        assert text in str(raised.value)
        assert scp.connections == 1


def test_no_presentation_context_is_a_permanent_error(sender: DimseStudySender) -> None:
    def script(peer: Peer) -> None:
        peer.accept(result=3)
        peer.store_all()

    with ScriptedScp(script) as scp, pytest.raises(PermanentError, match="abstract syntax not supported"):
        store(sender, scp)


def test_a_context_that_was_not_answered_is_a_permanent_error(sender: DimseStudySender) -> None:
    def script(peer: Peer) -> None:
        peer.receive()
        peer.send(pdu.AssociateAccept("A", "B", (), 16384))
        peer.store_all()

    with ScriptedScp(script) as scp, pytest.raises(PermanentError, match="rejected without a reason"):
        store(sender, scp)


def test_after_its_deadline_nothing_is_sent(sender: DimseStudySender) -> None:
    with ScriptedScp(store_everything) as scp:
        store(sender, scp)
        with pytest.raises(TransportFault, match="no time left") as raised:
            store(sender, scp, seconds=-1.0)
        assert not isinstance(raised.value, OutcomeUnknown)
        assert len(scp.stored) == 1


def test_nobody_listening_is_a_fault_at_once(sender: DimseStudySender) -> None:
    nobody = DicomDestination(aet="NOBODY", host="127.0.0.1", port=free_port())
    started = time.monotonic()
    with pytest.raises(TransportFault, match="Connection refused"):
        sender.store(nobody, [ONE], started + 300)
    assert time.monotonic() - started < 30


def test_a_name_that_does_not_resolve_is_a_fault(sender: DimseStudySender) -> None:
    nowhere = DicomDestination(aet="NOBODY", host="nowhere.invalid", port=104)
    with pytest.raises(TransportFault, match="no connection: "):
        sender.store(nowhere, [ONE], time.monotonic() + 20)


# --- Faults after the instance may have been stored -------------------------------------------------------------------


def accepted(rest: Script, max_pdu: int = 16384) -> Script:
    def script(peer: Peer) -> None:
        peer.accept(max_pdu)
        rest(peer)

    return script


def lose_the_answer(peer: Peer) -> None:
    peer.receive_store()


def abort_after_the_request(peer: Peer) -> None:
    peer.receive_store()
    peer.send(pdu.Abort())


def abort_amid_the_request(peer: Peer) -> None:
    peer.receive()
    peer.send(pdu.Abort())


def reset_amid_the_request(peer: Peer) -> None:
    peer.receive()
    peer.reset()


def never_answer(peer: Peer) -> None:
    peer.receive_store()
    peer.wait_for_end()


def answer_without_status(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    peer.respond(context_id, message_id, None)
    peer.wait_for_end()


def answer_somebody_else(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    peer.respond(context_id, message_id + 1, 0)
    peer.wait_for_end()


def answer_with_half_a_command_set(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    (value,) = store_response(context_id, message_id, 0).values
    peer.send(pdu.DataTransfer((pdu.DataValue(context_id, True, True, value.data[:-3]),)))
    peer.wait_for_end()


def answer_without_end(peer: Peer) -> None:
    context_id, _, _ = peer.receive_store()
    while True:
        peer.send(pdu.DataTransfer((pdu.DataValue(context_id, True, False, bytes(4096)),)))


def answer_with_an_association(peer: Peer) -> None:
    peer.receive_store()
    peer.send(pdu.AssociateAccept("A", "B", (), 0))
    peer.wait_for_end()


def ask_for_release(peer: Peer) -> None:
    peer.receive_store()
    peer.send(pdu.ReleaseRequest())
    assert isinstance(peer.receive(), pdu.ReleaseResponse)


def turn_to_http(peer: Peer) -> None:
    peer.receive_store()
    peer.socket.sendall(b"HTTP/1.1 500 Oops\r\n\r\n")


OUTCOME_UNKNOWN = [
    pytest.param(lose_the_answer, "closed the connection", id="answer lost"),
    pytest.param(abort_after_the_request, "an abort by its user", id="aborted after"),
    pytest.param(abort_amid_the_request, "abort|connection lost", id="aborted amid"),
    pytest.param(reset_amid_the_request, "connection lost", id="reset"),
    pytest.param(never_answer, "no answer to a C-STORE in time", id="silent"),
    pytest.param(answer_without_status, "0000,0900", id="no status"),
    pytest.param(answer_somebody_else, "an answer to message 2, not 1", id="other message"),
    pytest.param(answer_with_half_a_command_set, "ends within an element", id="half a command set"),
    pytest.param(answer_without_end, "an answer without end", id="without end"),
    pytest.param(answer_with_an_association, "a PDU of type 0x02", id="wrong PDU"),
    pytest.param(ask_for_release, "a release request in place of an answer", id="released"),
    pytest.param(turn_to_http, "not DICOM", id="HTTP"),
]


@pytest.mark.parametrize(("fault", "reason"), OUTCOME_UNKNOWN)
def test_an_unknown_outcome_means_the_same_instance_on_a_new_association(
    sender: DimseStudySender, fault: Script, reason: str
) -> None:
    with ScriptedScp(accepted(fault), store_everything) as scp:
        assert store(sender, scp).outcome == "stored"
        assert scp.connections == 2
        assert set(scp.stored) == {ONE.sop_instance_uid}


@pytest.mark.parametrize(("fault", "reason"), OUTCOME_UNKNOWN)
def test_a_second_unknown_outcome_is_a_fault_that_says_so(sender: DimseStudySender, fault: Script, reason: str) -> None:
    with ScriptedScp(accepted(fault)) as scp:
        with pytest.raises(OutcomeUnknown, match=reason) as raised:
            store(sender, scp)
        assert "the archive may have the instance" in str(raised.value)
        assert scp.connections == 2


def test_an_archive_that_goes_away_after_an_unknown_outcome_leaves_it_unknown(sender: DimseStudySender) -> None:
    with ScriptedScp(accepted(lose_the_answer), abort_at_once) as scp:
        with pytest.raises(OutcomeUnknown, match=r"closed the connection.*; then an abort"):
            store(sender, scp)
        assert scp.connections == 2


def test_every_answer_makes_up_for_a_lost_association(sender: DimseStudySender) -> None:
    """A study of many instances over a path that drops associations now and then gets there."""

    def one_and_a_reset(peer: Peer) -> None:
        peer.store()
        reset_amid_the_request(peer)

    sent = study(count=5)
    with ScriptedScp(accepted(one_and_a_reset)) as scp:
        results = sender.store(destination(scp.address), sent[:4], time.monotonic() + 60)
        assert [result.outcome for result in results] == ["stored"] * 4
        assert scp.connections == 4


def test_one_that_is_told_to_stop_does_not_send_again(sender: DimseStudySender) -> None:
    with ScriptedScp(accepted(lose_the_answer), store_everything) as scp:
        with pytest.raises(OutcomeUnknown, match="closed the connection"):
            sender.store(destination(scp.address), [ONE], time.monotonic() + 20, lambda: True)
        assert scp.connections == 1


def test_a_study_that_is_answered_and_not_done_in_time_is_no_fault_of_the_destination() -> None:
    def one_and_silence(peer: Peer) -> None:
        peer.store()
        never_answer(peer)

    with ScriptedScp(accepted(one_and_silence)) as scp:
        deadline = time.monotonic() + 2.0
        patient = DimseStudySender()  # whose other time limits are longer than that
        with closing(patient), pytest.raises(TemporaryError, match="not done in time: 1 instances were answered"):
            patient.store(destination(scp.address), study(count=3), deadline)


@pytest.mark.parametrize(
    ("scripts", "outcome"),
    [
        ([accepted(lambda peer: peer.store(0x0111))], "already_there"),
        ([accepted(lose_the_answer), accepted(lambda peer: peer.store(0x0111))], "stored"),
    ],
    ids=["somebody else's", "our own, whose answer was lost"],
)
def test_a_duplicate_is_ours_when_we_sent_it_before(
    sender: DimseStudySender, scripts: list[Script], outcome: str
) -> None:
    with ScriptedScp(*scripts) as scp:
        result = store(sender, scp)
        assert (result.status, result.outcome) == (0x0111, outcome)


def test_the_rest_of_a_study_goes_on_over_the_new_association(sender: DimseStudySender) -> None:
    def two_and_a_reset(peer: Peer) -> None:
        peer.store()
        peer.store()
        reset_amid_the_request(peer)

    sent = study(count=5)
    with ScriptedScp(accepted(two_and_a_reset), store_everything) as scp:
        results = sender.store(destination(scp.address), sent, time.monotonic() + 20)
        assert [result.sop_instance_uid for result in results] == [one.sop_instance_uid for one in sent]
        assert scp.stored == [one.sop_instance_uid for one in sent]
        assert scp.connections == 2


@pytest.mark.parametrize("max_pdu", [1, 7])
def test_a_peer_whose_limit_leaves_no_room_is_a_fault(sender: DimseStudySender, max_pdu: int) -> None:
    with (
        ScriptedScp(accepted(silence, max_pdu)) as scp,
        pytest.raises(TransportFault, match="leaves no room for data"),
    ):
        store(sender, scp)


def test_a_peer_that_stops_reading_is_a_fault(sender: DimseStudySender) -> None:
    done = threading.Event()

    def stop_reading(peer: Peer) -> None:
        peer.accept()
        done.wait(20)

    large = instance(size=30_000_000)  # more than the sockets hold
    with ScriptedScp(stop_reading) as scp:
        with pytest.raises(OutcomeUnknown, match="the peer stopped reading"):
            sender.store(destination(scp.address), [large], time.monotonic() + 0.4)
        done.set()


# --- What looks odd and is allowed ------------------------------------------------------------------------------------


def byte_by_byte(peer: Peer) -> None:
    peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    context_id, message_id, _ = peer.receive_store()
    for byte in store_response(context_id, message_id, 0).encode():
        peer.socket.sendall(bytes((byte,)))


def in_fragments(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    (value,) = store_response(context_id, message_id, 0).values
    halves = [
        pdu.DataValue(context_id, True, is_last, value.data[part])
        for is_last, part in ((False, slice(None, 9)), (True, slice(9, None)))
    ]
    peer.send(*(pdu.DataTransfer((half,)) for half in halves))


def in_one_pdu_with_two_values(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    (value,) = store_response(context_id, message_id, 0).values
    first = pdu.DataValue(context_id, True, False, value.data[:9])
    peer.send(pdu.DataTransfer((first, pdu.DataValue(context_id, True, True, value.data[9:]))))


@pytest.mark.parametrize("answer", [byte_by_byte, in_fragments, in_one_pdu_with_two_values])
def test_an_answer_may_come_in_pieces(sender: DimseStudySender, answer: Script) -> None:
    def script(peer: Peer) -> None:
        answer(peer)
        peer.store_all()

    with ScriptedScp(accepted(script)) as scp:
        assert store(sender, scp).outcome == "stored"
        assert store(sender, scp).outcome == "stored"
        assert scp.connections == 1


@pytest.mark.parametrize("max_pdu", [8, 1024, 0])
def test_the_data_set_arrives_whole_whatever_the_peers_limit(sender: DimseStudySender, max_pdu: int) -> None:
    received: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.accept(max_pdu)
        context_id, message_id, data = peer.receive_store()
        received.append(data)
        peer.respond(context_id, message_id, 0)

    with ScriptedScp(script) as scp:
        store(sender, scp)
    assert received == [bytes(ONE.data)]


@pytest.mark.parametrize(
    "end",
    [lambda peer: None, Peer.reset, lambda peer: peer.send(pdu.Abort()), lambda peer: peer.send(pdu.ReleaseRequest())],
    ids=["closed", "reset", "aborted", "released"],
)
def test_an_association_that_the_peer_ended_while_idle_costs_no_retry(end: Callable[[Peer], None]) -> None:
    sender = DimseStudySender(time_limits=QUICK)
    ended = threading.Event()

    def one_and_the_end(peer: Peer) -> None:
        peer.store()
        end(peer)
        ended.set()

    with ScriptedScp(accepted(one_and_the_end), store_everything) as scp:
        store(sender, scp)
        assert ended.wait(10)
        store(sender, scp)
        assert (scp.connections, len(scp.stored)) == (2, 2)
        sender.close()


def test_a_peer_that_still_counts_our_last_association_is_asked_again() -> None:
    """Its limit is one: it rejects the next one for now until it has noticed that the last one has ended."""
    sender = DimseStudySender(time_limits=QUICK, pool_limits=PoolLimits(studies=1, counted=20.0))
    with ScriptedScp(store_everything, reject(2, 3, 2), store_everything) as scp:
        store(sender, scp)
        assert store(sender, scp).outcome == "stored"
        assert (scp.connections, len(scp.stored)) == (3, 2)
        sender.close()


def test_both_may_ask_for_the_release_at_once(sender: DimseStudySender) -> None:
    answered = threading.Event()

    def collide(peer: Peer) -> None:
        peer.store()
        assert isinstance(peer.receive(), pdu.ReleaseRequest)
        peer.send(pdu.ReleaseRequest())
        assert isinstance(peer.receive(), pdu.ReleaseResponse)
        peer.send(pdu.ReleaseResponse())
        answered.set()

    with ScriptedScp(accepted(collide)) as scp:
        store(sender, scp)
        assert answered.wait(10)


def test_a_peer_that_does_not_answer_the_release_is_left_alone(sender: DimseStudySender) -> None:
    left = threading.Event()

    def ignore_the_release(peer: Peer) -> None:
        peer.store()
        peer.wait_for_end()
        left.set()

    with ScriptedScp(accepted(ignore_the_release)) as scp:
        store(sender, scp)
        assert left.wait(10)


def test_a_closed_sender_opens_no_association(sender: DimseStudySender) -> None:
    with ScriptedScp(store_everything) as scp:
        sender.close()
        with pytest.raises(TransportFault, match="sender was closed"):
            store(sender, scp)
        assert scp.connections == 0


def test_one_that_waits_for_a_busy_association_gives_up_at_its_deadline(sender: DimseStudySender) -> None:
    busy, done = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        peer.receive_store()
        busy.set()
        done.wait(10)

    with ScriptedScp(accepted(slow), store_everything) as scp:
        to = destination(scp.address, associations=1)
        first = threading.Thread(
            target=lambda: DimseStudySender.store(sender, to, [ONE], time.monotonic() + 20), daemon=True
        )
        first.start()
        assert busy.wait(10)
        with pytest.raises(TransportFault, match="all 1 associations stayed busy"):
            sender.store(to, [ONE], time.monotonic() + 0.1)
        done.set()
        first.join(20)


def test_a_sender_that_is_closed_tells_all_that_wait_for_a_busy_association() -> None:
    busy, done = threading.Event(), threading.Event()

    def slow(peer: Peer) -> None:
        context_id, message_id, _ = peer.receive_store()
        busy.set()
        done.wait(20)
        peer.respond(context_id, message_id, 0)

    patient = DimseStudySender()  # whose other time limits are longer than this takes
    with ScriptedScp(accepted(slow)) as scp, ThreadPoolExecutor(4) as threads:
        to = destination(scp.address, associations=1)
        first = threads.submit(patient.store, to, [ONE], time.monotonic() + 60)
        assert busy.wait(20)
        others = [threads.submit(patient.store, to, study(order), time.monotonic() + 60) for order in range(3)]
        time.sleep(0.1)  # they queue
        patient.close()
        for other in others:
            with pytest.raises(TransportFault, match="sender was closed"):
                other.result(10)
        done.set()
        assert first.result(10)[0].outcome == "stored"
