"""Archives that break the rules, in the ways that tests/contract/test_study_sender_faults.py does not have.

Where studies are stored, and where the archive is asked what it has.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from app.adapters.archive.dicom_query import DicomArchiveQuery
from app.adapters.senders.dimse import DimseStudySender, TimeLimits
from app.dicom.network import pdu
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, PermanentError, TransportFault, Unavailable
from app.domain.study import StoreOutcome, StoreResult
from tests.contract.instances import RUN_KEY, instance
from tests.contract.scripted_scp import Peer, Script, ScriptedScp, store_everything, store_response

# Only what a test is about is cut short: a peer of these tests may be late on a busy machine.
SHORT_NEGOTIATION = TimeLimits(connect=30.0, acse=0.4)
SHORT_STORE = TimeLimits(connect=30.0, network=0.4, dimse=0.4)
SHORT_QUERY = TimeLimits(connect=30.0, acse=0.4, dimse=0.4)
ONE = instance()
LARGE = instance(size=30_000_000)  # more than the sockets of both sides hold


@pytest.fixture
def sender() -> Iterator[DimseStudySender]:
    sender = DimseStudySender()
    yield sender
    sender.close()


@contextmanager
def sender_with(limits: TimeLimits, tls: ssl.SSLContext | None = None) -> Iterator[DimseStudySender]:
    sender = DimseStudySender(tls, limits)
    try:
        yield sender
    finally:
        sender.close()


def store(sender: DimseStudySender, scp: ScriptedScp, one: object = ONE) -> StoreResult:
    destination = DicomDestination.model_validate(scp.address)
    (result,) = sender.store(destination, [one], time.monotonic() + 60)  # type: ignore[list-item]
    return result


def accepted(rest: Script) -> Script:
    def script(peer: Peer) -> None:
        peer.accept()
        rest(peer)

    return script


# --- Verdicts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0001, "failed"),
        (0x0110, "failed"),
        (0x0122, "refused"),
        (0x0124, "failed"),
        (0xA700, "out_of_resources"),
        (0xA702, "out_of_resources"),
        (0xA801, "failed"),
        (0xA9FE, "refused"),
        (0xB006, "warning"),
        (0xB007, "warning"),
        (0xC123, "failed"),
        (0xFE00, "failed"),
        (0xFF00, "failed"),
        (0xFFFF, "failed"),
    ],
)
def test_a_status_is_a_result_whatever_it_is_and_the_association_goes_on(
    sender: DimseStudySender, status: int, outcome: StoreOutcome
) -> None:
    def script(peer: Peer) -> None:
        peer.store(status)
        peer.store_all()

    with ScriptedScp(accepted(script)) as scp:
        result = store(sender, scp)
        assert (result.status, result.outcome) == (status, outcome)
        assert store(sender, scp).outcome == "stored"
        assert scp.connections == 1


def test_an_archive_without_room_for_a_while_is_told_so_each_time_and_then_takes_it(sender: DimseStudySender) -> None:
    def script(peer: Peer) -> None:
        for _ in range(5):
            peer.store(0xA700)
        peer.store_all()

    with ScriptedScp(accepted(script)) as scp:
        outcomes = [store(sender, scp).outcome for _ in range(6)]
        assert outcomes == ["out_of_resources"] * 5 + ["stored"]
        assert set(scp.stored) == {ONE.sop_instance_uid}


# --- Presentation contexts --------------------------------------------------------------------------------------------


def accept_with(*results: Callable[[pdu.ProposedContext], pdu.ContextResult]) -> Script:
    def script(peer: Peer) -> None:
        request = peer.receive()
        assert isinstance(request, pdu.AssociateRequest)
        contexts = tuple(result(context) for context in request.contexts for result in results)
        peer.send(pdu.AssociateAccept("A", "B", contexts, 16384))
        peer.store_all()

    return script


@pytest.mark.parametrize(
    "script",
    [
        accept_with(lambda context: pdu.ContextResult(context.id, 0, "1.2.840.10008.1.2.99")),
        accept_with(lambda context: pdu.ContextResult(context.id, 0, "")),
        accept_with(lambda context: pdu.ContextResult(context.id + 1, 0, context.transfer_syntaxes[0])),
        accept_with(lambda context: pdu.ContextResult(context.id, 77, context.transfer_syntaxes[0])),
        accept_with(
            lambda context: pdu.ContextResult(context.id, 0, context.transfer_syntaxes[0]),
            lambda context: pdu.ContextResult(context.id, 1, context.transfer_syntaxes[0]),
        ),
    ],
    ids=["a syntax that nobody proposed", "no syntax", "other contexts", "an unknown result", "yes and no"],
)
def test_a_context_that_is_not_accepted_as_proposed_is_not_used(sender: DimseStudySender, script: Script) -> None:
    with ScriptedScp(script) as scp:
        with pytest.raises(PermanentError, match="presentation context"):
            store(sender, scp)
        assert scp.stored == []


# --- Before there is an association -----------------------------------------------------------------------------------


def answer_one_byte_a_time_without_end(peer: Peer) -> None:
    peer.receive()
    for byte in b"\2\0\0\1\0\0" + bytes(65_536):
        peer.socket.sendall(bytes((byte,)))
        time.sleep(0.02)


def answer_with_items_that_are_longer_than_they_are(peer: Peer) -> None:
    peer.receive()
    body = bytearray(pdu.AssociateAccept("A", "B", (pdu.ContextResult(1, 0, "1.2"),), 0).encode())
    body[76:78] = b"\xff\xff"
    peer.socket.sendall(body)
    peer.wait_for_end()


def answer_with_the_request(peer: Peer) -> None:
    request = peer.receive()
    peer.send(request)
    peer.wait_for_end()


def answer_with_an_empty_pdu(peer: Peer) -> None:
    peer.receive()
    peer.socket.sendall(b"\2\0\0\0\0\0")
    peer.wait_for_end()


def answer_with_data(peer: Peer) -> None:
    peer.receive()
    peer.send(store_response(1, 1, 0))
    peer.wait_for_end()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (answer_with_items_that_are_longer_than_they_are, "ends after its PDU"),
        (answer_with_the_request, "a PDU of type 0x01 in answer"),
        (answer_with_an_empty_pdu, "the PDU ends at 0"),
        (answer_with_data, "a PDU of type 0x04 in answer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_an_answer_that_is_none_is_a_fault_and_nothing_is_sent(
    sender: DimseStudySender, script: Script, reason: str
) -> None:
    with ScriptedScp(script) as scp:
        with pytest.raises(TransportFault, match=reason) as raised:
            store(sender, scp)
        assert not isinstance(raised.value, OutcomeUnknown)
        assert scp.stored == []


def test_an_association_that_is_answered_a_byte_at_a_time_is_given_up() -> None:
    with (
        ScriptedScp(answer_one_byte_a_time_without_end) as scp,
        sender_with(SHORT_NEGOTIATION) as sender,
        pytest.raises(TransportFault, match="no answer to the association request"),
    ):
        store(sender, scp)


def test_a_peer_that_never_begins_with_tls_is_a_fault() -> None:
    with (
        ScriptedScp(Peer.wait_for_end) as scp,
        sender_with(SHORT_NEGOTIATION, ssl.create_default_context()) as sender,
        pytest.raises(TransportFault, match="no answer to the association request"),
    ):
        destination = DicomDestination.model_validate(scp.address).model_copy(update={"tls": True})
        sender.store(destination, [ONE], time.monotonic() + 60)


# --- After the instance may have been stored --------------------------------------------------------------------------


def announce_a_huge_answer(peer: Peer) -> None:
    peer.receive_store()
    peer.socket.sendall(b"\4\0\xff\xff\xff\xff")
    peer.wait_for_end()


def trickle(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    for byte in store_response(context_id, message_id, 0).encode():
        time.sleep(0.05)
        peer.socket.sendall(bytes((byte,)))
    peer.wait_for_end()


def empty_fragments_without_end(peer: Peer) -> None:
    context_id, _, _ = peer.receive_store()
    empty = pdu.DataTransfer((pdu.DataValue(context_id, True, False, b""),)).encode() * 100
    while True:
        peer.socket.sendall(empty)


def pdus_of_nothing_without_end(peer: Peer) -> None:
    peer.receive_store()
    while True:
        peer.socket.sendall(b"\4\0\0\0\0\0" * 100)


def answer_as_a_data_set(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    (value,) = store_response(context_id, message_id, 0).values
    peer.send(pdu.DataTransfer((pdu.DataValue(context_id, False, True, value.data),)))
    peer.wait_for_end()


def answer_with_a_request_to_store(peer: Peer) -> None:
    context_id, message_id, _ = peer.receive_store()
    (value,) = store_response(context_id, message_id, 0).values
    request = value.data.replace(b"\x01\x80", b"\x01\x00", 1)  # C-STORE-RQ in place of C-STORE-RSP
    peer.send(pdu.DataTransfer((pdu.DataValue(context_id, True, True, request),)))
    peer.wait_for_end()


def announce_a_value_that_is_longer_than_its_pdu(peer: Peer) -> None:
    peer.receive_store()
    peer.socket.sendall(b"\4\0\0\0\0\6" + b"\xff\xff\xff\xff\1\3")
    peer.wait_for_end()


UNKNOWN = [
    pytest.param(announce_a_huge_answer, "a PDU of 4294967295 bytes", id="huge PDU"),
    pytest.param(answer_with_a_request_to_store, "no C-STORE-RSP", id="a request"),
    pytest.param(announce_a_value_that_is_longer_than_its_pdu, "presentation data value of", id="long value"),
]


@pytest.mark.parametrize(("script", "reason"), UNKNOWN)
def test_an_answer_that_is_none_is_an_unknown_outcome_and_the_instance_is_sent_again(
    sender: DimseStudySender, script: Script, reason: str
) -> None:
    with ScriptedScp(accepted(script), store_everything) as scp:
        assert store(sender, scp).outcome == "stored"
        assert scp.stored == [ONE.sop_instance_uid] * 2


@pytest.mark.parametrize(("script", "reason"), UNKNOWN)
def test_an_answer_that_is_none_twice_is_a_fault_that_says_why(
    sender: DimseStudySender, script: Script, reason: str
) -> None:
    with ScriptedScp(accepted(script)) as scp, pytest.raises(OutcomeUnknown, match=reason):
        store(sender, scp)


@pytest.mark.parametrize(
    "script",
    [trickle, empty_fragments_without_end, pdus_of_nothing_without_end, answer_as_a_data_set],
    ids=lambda script: script.__name__,
)
def test_an_answer_that_does_not_end_is_an_unknown_outcome_at_the_time_limit(script: Script) -> None:
    with (
        ScriptedScp(accepted(script)) as scp,
        sender_with(SHORT_STORE) as sender,
        pytest.raises(OutcomeUnknown, match="no answer to a C-STORE in time"),
    ):
        store(sender, scp)


def test_tiny_pdus_make_an_answer_all_the_same(sender: DimseStudySender) -> None:
    """A byte of the command set in each P-DATA-TF, with an empty one between every two."""

    def in_bytes(peer: Peer) -> None:
        context_id, message_id, _ = peer.receive_store()
        (value,) = store_response(context_id, message_id, 0).values
        for index, byte in enumerate(value.data):
            is_last = index == len(value.data) - 1
            peer.send(pdu.DataTransfer(()))
            peer.send(pdu.DataTransfer((pdu.DataValue(context_id, True, is_last, bytes((byte,))),)))
        peer.store_all()

    with ScriptedScp(accepted(in_bytes)) as scp:
        assert store(sender, scp).outcome == "stored"
        assert store(sender, scp).outcome == "stored"
        assert scp.connections == 1


def test_an_archive_that_reads_a_byte_at_a_time_is_a_fault() -> None:
    over = threading.Event()

    def read_slowly(peer: Peer) -> None:
        peer.accept()
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        while not over.wait(0.02) and peer.socket.recv(1):
            pass

    with ScriptedScp(read_slowly) as scp, sender_with(SHORT_STORE) as sender:
        destination = DicomDestination.model_validate(scp.address)
        with pytest.raises(OutcomeUnknown, match="the peer stopped reading"):
            sender.store(destination, [LARGE], time.monotonic() + 60, should_stop=lambda: True)
        over.set()


# --- When the archive is asked ----------------------------------------------------------------------------------------


def half_an_answer(peer: Peer) -> None:
    peer.receive()
    peer.socket.sendall(b"\2\0\0\0\1\0abc")
    peer.wait_for_end()


def half_an_answer_to_the_query(peer: Peer) -> None:
    peer.accept()
    peer.receive()
    peer.socket.sendall(b"\4\0\0\0\1\0abc")
    peer.wait_for_end()


def huge_answer(peer: Peer) -> None:
    peer.receive()
    peer.socket.sendall(b"\2\0\xff\xff\xff\xff")
    while True:
        peer.socket.sendall(bytes(1 << 20))


def huge_answer_to_the_query(peer: Peer) -> None:
    peer.accept()
    peer.receive()
    peer.socket.sendall(b"\4\0\xff\xff\xff\xff")
    while True:
        peer.socket.sendall(bytes(1 << 20))


def http(peer: Peer) -> None:
    peer.receive()
    peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def trickled_answer(peer: Peer) -> None:
    peer.receive()
    for byte in b"\2\0\0\1\0\0" + bytes(65_536):
        peer.socket.sendall(bytes((byte,)))
        time.sleep(0.02)


def abort(peer: Peer) -> None:
    peer.receive()
    peer.send(pdu.Abort(2, 1))


ASKED = [half_an_answer, huge_answer, trickled_answer, http, abort]


@pytest.mark.parametrize("script", ASKED, ids=lambda script: script.__name__)
def test_an_archive_that_answers_nonsense_to_an_echo_is_unavailable(script: Script) -> None:
    query = DicomArchiveQuery(limits=SHORT_QUERY)
    with ScriptedScp(script) as scp, pytest.raises(Unavailable, match="no association"):
        query.echo(DicomDestination.model_validate(scp.address))


@pytest.mark.parametrize(
    "script", [*ASKED, half_an_answer_to_the_query, huge_answer_to_the_query], ids=lambda script: script.__name__
)
def test_an_archive_that_answers_nonsense_to_a_query_is_unavailable(script: Script) -> None:
    query = DicomArchiveQuery(limits=SHORT_QUERY)
    with ScriptedScp(script) as scp, pytest.raises(Unavailable):
        list(query.studies(DicomDestination.model_validate(scp.address), RUN_KEY, 1))
