"""The DICOM receiver's side of associations, PDU by PDU: what it accepts, answers, refuses and aborts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom import AE, AllStoragePresentationContexts

from app.dicom.network import pdu
from app.dicom.network.command_set import C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, IS_RESPONSE
from app.dicom.network.messages import Assembler
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.receivers.dicom.connection import PeerLimits
from app.receivers.dicom.ledger import Patient, Study
from app.receivers.dicom.negotiation import SERVICES, Service
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import DicomReceiver
from tests.contract.dicom_guest import (
    ECHO,
    FIND,
    REQUEST,
    STORAGE,
    STUDY_ROOT_FIND,
    VERIFICATION,
    answer,
    answers,
    associated,
    c_cancel,
    c_echo,
    c_find,
    c_store,
    request,
)
from tests.contract.instances import CT_IMAGE_STORAGE, instance
from tests.contract.scripted_scp import Peer
from tests.hostile.test_mllp_guests import connected

BIG_ENDIAN, JPEG = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.70"
PRINTING = "1.2.840.10008.5.1.1.9"
SUCCESS, PENDING, CANCELLED = 0x0000, 0xFF00, 0xFE00


@pytest.fixture
def receiver() -> Iterator[DicomReceiver]:
    receiver = DicomReceiver(DicomReceiverOptions(port=0), PeerLimits(pipelined=3))
    receiver.start()
    yield receiver
    receiver.close()


def reply(port: int, request: pdu.AssociateRequest) -> pdu.Pdu:
    with connected(port) as guest:
        peer = Peer(guest, [])
        peer.send(request)
        return peer.receive()


def identifier(**keys: str) -> bytes:
    ds = Dataset()
    for keyword, value in ({"QueryRetrieveLevel": "STUDY"} | keys).items():
        setattr(ds, keyword, value)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, ds)
    return stream.getvalue()


def fill(receiver: DicomReceiver, studies: int) -> None:
    for number in range(studies):
        receiver.ledger.add(Study(f"1.2.{number}", f"A{number}", Patient("P", "DOE", "", "F")), "1.2.3")


# --- Negotiation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("abstract_syntax", "proposed", "result", "chosen"),
    [
        (CT_IMAGE_STORAGE, (EXPLICIT_VR_LITTLE_ENDIAN,), 0, EXPLICIT_VR_LITTLE_ENDIAN),
        (CT_IMAGE_STORAGE, (IMPLICIT_VR_LITTLE_ENDIAN,), 0, IMPLICIT_VR_LITTLE_ENDIAN),
        (VERIFICATION, (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN), 0, EXPLICIT_VR_LITTLE_ENDIAN),
        (STUDY_ROOT_FIND, (JPEG, IMPLICIT_VR_LITTLE_ENDIAN), 0, IMPLICIT_VR_LITTLE_ENDIAN),
        (CT_IMAGE_STORAGE, (JPEG, BIG_ENDIAN), 4, JPEG),
        (PRINTING, (EXPLICIT_VR_LITTLE_ENDIAN,), 3, EXPLICIT_VR_LITTLE_ENDIAN),
    ],
)
def test_each_presentation_context_has_its_result(
    receiver: DicomReceiver, abstract_syntax: str, proposed: tuple[str, ...], result: int, chosen: str
) -> None:
    contexts = (*REQUEST.contexts, pdu.ProposedContext(201, abstract_syntax, proposed))
    accept = reply(receiver.port, replace(REQUEST, contexts=contexts))
    assert isinstance(accept, pdu.AssociateAccept)
    assert [context.id for context in accept.contexts] == [STORAGE, ECHO, FIND, 201]
    assert accept.contexts[-1] == pdu.ContextResult(201, result, chosen)
    assert (accept.called_aet, accept.calling_aet, accept.max_pdu) == ("ANY", "GUEST", 1 << 18)


def test_operations_are_synchronous_whatever_was_proposed(receiver: DicomReceiver) -> None:
    accept = reply(receiver.port, replace(REQUEST, window=pdu.OperationsWindow(16, 1)))
    assert isinstance(accept, pdu.AssociateAccept)
    assert accept.window is None


def test_every_storage_class_that_pynetdicom_knows_is_offered() -> None:
    storage = {uid for uid, service in SERVICES.items() if service is Service.STORAGE}
    assert {str(context.abstract_syntax) for context in AllStoragePresentationContexts} <= storage


@pytest.mark.parametrize(
    ("request_", "source", "reason"),
    [
        (replace(REQUEST, protocol_version=2), 2, 2),
        (replace(REQUEST, application_context="1.2.3"), 1, 2),
        (replace(REQUEST, called_aet="OTHER"), 1, 7),
    ],
    ids=["protocol version", "application context", "called AE title"],
)
def test_a_request_that_can_not_be_met_is_rejected_for_good(
    request_: pdu.AssociateRequest, source: int, reason: int
) -> None:
    receiver = DicomReceiver(DicomReceiverOptions(port=0, aet="ARCHIVE", check_aet=True))
    receiver.start()
    assert reply(receiver.port, request_) == pdu.AssociateReject(1, source, reason)
    receiver.close()


def test_pynetdicom_associates_with_all_that_it_has(receiver: DicomReceiver) -> None:
    ae = AE()
    ae.requested_contexts = AllStoragePresentationContexts[:127]
    ae.add_requested_context(VERIFICATION)
    assoc = ae.associate("127.0.0.1", receiver.port)
    assert assoc.is_established
    assert len(assoc.accepted_contexts) == 128
    assert assoc.send_c_echo().Status == SUCCESS
    assoc.release()


# --- Messages ---------------------------------------------------------------------------------------------------------


def test_requests_are_answered_in_the_order_in_which_they_came(receiver: DicomReceiver) -> None:
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_echo(1) + c_store(instance(), 2) + c_find(3, identifier()) + c_echo(4))
        assert answer(peer) == (C_ECHO_RQ | IS_RESPONSE, 1, SUCCESS)
        assert answer(peer) == (C_STORE_RQ | IS_RESPONSE, 2, SUCCESS)
        assert answer(peer) == (C_FIND_RQ | IS_RESPONSE, 3, PENDING)
        assert answer(peer) == (C_FIND_RQ | IS_RESPONSE, 3, SUCCESS)
        assert answer(peer) == (C_ECHO_RQ | IS_RESPONSE, 4, SUCCESS)


@pytest.mark.parametrize(
    ("command", "context_id", "sop_class"),
    [
        (0x0021, FIND, STUDY_ROOT_FIND),  # C-MOVE
        (0x0010, FIND, STUDY_ROOT_FIND),  # C-GET
        (0x0140, ECHO, VERIFICATION),  # N-CREATE
        (C_STORE_RQ, ECHO, VERIFICATION),
        (C_FIND_RQ, STORAGE, CT_IMAGE_STORAGE),
        (0x1234, STORAGE, CT_IMAGE_STORAGE),
    ],
)
@pytest.mark.parametrize("data", [b"", b"any bytes!"], ids=["alone", "with data set"])
def test_an_operation_that_a_context_does_not_have_is_refused_and_the_association_goes_on(
    receiver: DicomReceiver, command: int, context_id: int, sop_class: str, data: bytes
) -> None:
    with associated(receiver.port) as peer:
        peer.socket.sendall(request(command, context_id, sop_class, 7, data) + c_echo(8))
        assert answer(peer) == (command | IS_RESPONSE, 7, 0x0211)  # unrecognized operation
        assert answer(peer) == (C_ECHO_RQ | IS_RESPONSE, 8, SUCCESS)


def test_an_instance_without_a_data_set_is_not_understood(receiver: DicomReceiver) -> None:
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_store(instance(), data=b""))
        assert answer(peer) == (C_STORE_RQ | IS_RESPONSE, 1, 0xC000)


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"\x08\0\x52\0CS\xf0\xff"], ids=["none", "junk", "cut off"])
def test_a_query_that_is_none_fails_and_the_association_goes_on(receiver: DicomReceiver, data: bytes) -> None:
    fill(receiver, 2)
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_find(1, data) + c_echo(2))
        _, message_id, status = answer(peer)
        assert (message_id, status in (0xA900, 0xC000)) == (1, True)
        assert answer(peer)[1:] == (2, SUCCESS)


class Cut:
    """A message in fragments of any lengths, in PDUs of any number of them."""

    def __init__(self, lengths: list[int], values_each: int) -> None:
        self._lengths, self._values_each = lengths or [1 << 20], values_each

    def pdus(self, *parts: tuple[bool, bytes]) -> list[bytes]:
        """The bodies; each part is whether it is a command set, and its bytes."""
        values = [value for is_command, part in parts for value in self._values(is_command, part)]
        groups = [values[start : start + self._values_each] for start in range(0, len(values), self._values_each)]
        return [pdu.DataTransfer(tuple(group)).encode()[pdu.HEADER_SIZE :] for group in groups]

    def _values(self, is_command: bool, part: bytes) -> list[pdu.DataValue]:
        pieces: list[bytes] = []
        while True:
            length = self._lengths[len(pieces) % len(self._lengths)]
            pieces.append(part[:length])
            part = part[length:]
            if not part:
                break
        last = len(pieces) - 1
        return [pdu.DataValue(STORAGE, is_command, number == last, piece) for number, piece in enumerate(pieces)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=40)), max_size=4),
    st.lists(st.integers(1, 50), max_size=4),
    st.integers(1, 5),
)
def test_however_messages_are_cut_they_come_whole(
    sent: list[tuple[int, bytes]], lengths: list[int], values_each: int
) -> None:
    parts = []
    for command, data in sent:
        encoded = request(command, STORAGE, CT_IMAGE_STORAGE, data=data)
        transfers = [(True, pdu.decode(4, encoded[6 : 6 + int.from_bytes(encoded[2:6], "big")]))]
        assert isinstance(transfers[0][1], pdu.DataTransfer)
        parts.append((True, transfers[0][1].values[0].data))
        if data:
            parts.append((False, data))
    assembler = Assembler({STORAGE}, 1000)
    received = [
        (message.command, bytes(message.data))
        for body in Cut(lengths, values_each).pdus(*parts)
        for message in assembler.messages(memoryview(body))
    ]
    assert received == sent


# --- Queries ----------------------------------------------------------------------------------------------------------


def test_a_query_that_is_cancelled_ends_before_all_is_told(receiver: DicomReceiver) -> None:
    fill(receiver, 20_000)
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_find(1, identifier()))
        assert answer(peer)[1:] == (1, PENDING)
        peer.socket.sendall(c_cancel(1) + c_echo(2))
        told = 1
        while (status := answer(peer)[2]) == PENDING:
            told += 1
        assert status == CANCELLED
        assert told < 20_000
        assert answer(peer)[1:] == (2, SUCCESS)


def test_a_query_that_is_cancelled_before_its_turn_is_not_answered(receiver: DicomReceiver) -> None:
    fill(receiver, 3)
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_find(1, identifier()) + c_find(2, identifier()) + c_cancel(2) + c_find(2, identifier()))
        assert answers(peer, 5) == [*[(1, PENDING)] * 3, (1, SUCCESS), (2, CANCELLED)]
        assert answers(peer, 4) == [*[(2, PENDING)] * 3, (2, SUCCESS)]  # the number of another one by now


def test_to_cancel_what_was_answered_changes_nothing(receiver: DicomReceiver) -> None:
    fill(receiver, 1)
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_find(1, identifier()))
        assert answers(peer, 2) == [(1, PENDING), (1, SUCCESS)]
        peer.socket.sendall(c_cancel(1) + c_find(1, identifier()))
        assert answers(peer, 2) == [(1, PENDING), (1, SUCCESS)]


def test_more_requests_than_may_wait_for_a_query_are_answered_all_the_same(receiver: DicomReceiver) -> None:
    fill(receiver, 20)
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_find(1, identifier()) + b"".join(c_echo(number) for number in range(2, 30)))
        assert answers(peer, 21) == [*[(1, PENDING)] * 20, (1, SUCCESS)]
        assert answers(peer, 28) == [(number, SUCCESS) for number in range(2, 30)]


# --- The end ----------------------------------------------------------------------------------------------------------


def test_a_release_is_answered_and_then_nothing_more_comes(receiver: DicomReceiver) -> None:
    with associated(receiver.port) as peer:
        peer.socket.sendall(c_echo() + pdu.ReleaseRequest().encode())
        assert answer(peer)[2] == SUCCESS
        assert peer.receive() == pdu.ReleaseResponse()
        peer.wait_for_end()


def values(*parts: tuple[int, bool, bool, bytes]) -> bytes:
    return pdu.DataTransfer(tuple(pdu.DataValue(*part) for part in parts)).encode()


ONE: EncodedInstance = instance()
WHOLE = c_store(ONE)
COMMAND = WHOLE[12 : 6 + int.from_bytes(WHOLE[2:6], "big")]
INVALID_PARAMETER = pdu.Abort(2, 6)


@pytest.mark.parametrize(
    ("sent", "abort"),
    [
        (values((STORAGE, False, True, b"data")), INVALID_PARAMETER),
        (values((STORAGE, True, True, COMMAND), (STORAGE, True, True, COMMAND)), INVALID_PARAMETER),
        (values((STORAGE, True, False, COMMAND[:20]), (ECHO, True, True, COMMAND[20:])), INVALID_PARAMETER),
        (values((STORAGE, True, True, COMMAND), (ECHO, False, True, b"data")), INVALID_PARAMETER),
        (values((STORAGE, True, False, COMMAND[:20]), (STORAGE, False, True, b"data")), INVALID_PARAMETER),
        (values((2, True, True, COMMAND)), INVALID_PARAMETER),
        (values((STORAGE, True, True, b"")), INVALID_PARAMETER),
        (values((STORAGE, True, True, COMMAND[:-4])), INVALID_PARAMETER),
        (values(), INVALID_PARAMETER),
        (request(C_STORE_RQ, STORAGE, CT_IMAGE_STORAGE, data=b"data"), INVALID_PARAMETER),  # whose SOP instance?
        (request(0x8001, STORAGE, CT_IMAGE_STORAGE), INVALID_PARAMETER),
        (b"\4\0\0\0\0\5" + b"\0\0\0\1\1", INVALID_PARAMETER),
        (b"\4\0\0\0\0\6" + b"\0\0\0\1\1\3", INVALID_PARAMETER),
        (b"\4\0\0\x20\0\0", INVALID_PARAMETER),
        (REQUEST.encode(), pdu.Abort(2, 2)),
        (pdu.ReleaseResponse().encode(), pdu.Abort(2, 2)),
        (b"\x0a\0\0\0\0\0", pdu.Abort(2, 1)),
    ],
    ids=[
        "a data set before its command set",
        "a command set in place of the data set",
        "a command set in two contexts",
        "a data set in another context",
        "a data set inside a command set",
        "an unknown context",
        "an empty command set",
        "a command set that is cut off",
        "a P-DATA-TF without values",
        "a C-STORE without an instance UID",
        "an answer",
        "half a value",
        "a value shorter than its header",
        "a long PDU",
        "a second request",
        "a release response",
        "an unknown PDU",
    ],
)
def test_what_breaks_the_rules_is_aborted_with_the_reason(
    receiver: DicomReceiver, sent: bytes, abort: pdu.Abort
) -> None:
    with associated(receiver.port) as peer:
        peer.socket.sendall(sent)
        assert peer.receive() == abort
        peer.wait_for_end()
    assert receiver.ledger.entries() == []


@pytest.mark.parametrize(
    "sent",
    [
        c_echo(),
        pdu.ReleaseRequest().encode(),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\1\0\0\x20\0\0",
        replace(REQUEST, contexts=REQUEST.contexts * 2).encode(),
        replace(REQUEST, contexts=(replace(REQUEST.contexts[0], id=2),)).encode(),
    ],
    ids=["data", "release", "HTTP", "a long request", "contexts of one identifier", "an even identifier"],
)
def test_what_is_no_request_is_aborted(receiver: DicomReceiver, sent: bytes) -> None:
    with connected(receiver.port) as guest:
        guest.sendall(sent)
        assert Peer(guest, []).receive() == pdu.Abort(0, 0)


def test_a_connection_that_asks_for_nothing_and_an_association_without_a_word_end_after_a_while() -> None:
    receiver = DicomReceiver(DicomReceiverOptions(port=0), PeerLimits(request_seconds=0.3, idle_seconds=0.3))
    receiver.start()
    with connected(receiver.port) as guest, associated(receiver.port) as peer:
        assert Peer(guest, []).receive() == pdu.Abort(0, 0)
        assert peer.receive() == pdu.Abort(0, 0)
        peer.wait_for_end()
    receiver.close()


def test_the_receivers_end_is_the_end_of_all_connections(receiver: DicomReceiver) -> None:
    other = DicomReceiver(DicomReceiverOptions(port=0))
    other.start()
    with connected(other.port) as guest, associated(other.port) as peer:
        other.close()
        assert guest.recv(1) == b""
        peer.wait_for_end()
    with pytest.raises(ConnectionError), connected(other.port):
        pass
