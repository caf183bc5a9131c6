"""Whatever a sender sends on an association: answers or an abort, an end in time, and room for the next one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.network import pdu
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import DicomReceiver
from tests.contract.dicom_guest import REQUEST, answer, associated, c_cancel, c_echo, c_find, c_store, request
from tests.contract.instances import CT_IMAGE_STORAGE, instance
from tests.contract.scripted_scp import Peer
from tests.fuzz.mutations import damaged
from tests.fuzz.profile import examples

STUDY_LEVEL = b"\x08\0\x52\0CS\6\0STUDY "
MESSAGES = [
    c_echo(1),
    c_store(instance(), 2),
    c_find(3, STUDY_LEVEL),
    c_cancel(3),
    request(0x0021, 1, CT_IMAGE_STORAGE, data=b"data"),
    pdu.ReleaseRequest().encode(),
]
streams = st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=5).map(b"".join)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    receiver = DicomReceiver(DicomReceiverOptions(port=0))
    receiver.start()
    yield receiver.port
    receiver.close()


def ends_in_order(peer: Peer) -> bool:
    """Whether PDUs come, whole ones, and then the end."""
    try:
        while isinstance(peer.receive(), pdu.DataTransfer | pdu.ReleaseResponse):
            pass
    except (EOFError, ConnectionResetError):
        return True
    return peer.socket.recv(1) == b""  # after an abort


def serves(port: int) -> bool:
    with associated(port) as peer:
        peer.socket.sendall(c_echo(9))
        return answer(peer)[1:] == (9, 0)


@examples(200)
@given(stream=damaged(streams) | st.binary(max_size=60))
def test_any_bytes_on_an_association_get_answers_or_an_abort(port: int, stream: bytes) -> None:
    with associated(port) as peer:
        peer.socket.sendall(stream)
        peer.socket.shutdown(socket.SHUT_WR)
        assert ends_in_order(peer)
    assert serves(port)


@examples(100)
@given(stream=damaged(st.just(REQUEST.encode())))
def test_any_bytes_in_place_of_a_request_get_an_answer_or_an_abort(port: int, stream: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as guest:
        guest.sendall(stream)
        guest.shutdown(socket.SHUT_WR)
        peer = Peer(guest, [])
        try:
            first = peer.receive()
        except (EOFError, ConnectionResetError):
            return  # it ended before it was whole
        assert isinstance(first, pdu.AssociateAccept | pdu.AssociateReject | pdu.Abort)
    assert serves(port)
