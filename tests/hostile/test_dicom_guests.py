"""Senders that break the rules, at our own DICOM receiver: each is dealt with, and everybody else is served."""

from __future__ import annotations

import random
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import pytest
import trustme

from app.adapters.senders.dimse import DimseStudySender, command
from app.dicom.network import pdu
from app.dicom.network.fragments import fragment
from app.domain.destination import DicomDestination
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN
from app.receivers.dicom.connection import PeerLimits
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import DicomReceiver
from tests.contract.instances import CT_IMAGE_STORAGE, instance, study
from tests.contract.scripted_scp import Peer
from tests.contract.test_receiver_program import receiver
from tests.hostile.test_mllp_guests import connected, most_memory, was_closed
from tests.services.processes import wait_until

ONE = instance(9)
CONTEXT = pdu.ProposedContext(1, CT_IMAGE_STORAGE, (EXPLICIT_VR_LITTLE_ENDIAN,))
REQUEST = pdu.AssociateRequest("ANY", "GUEST", (CONTEXT,), 16384).encode()


def c_store(data: bytes = bytes(ONE.data), message_id: int = 1) -> bytes:
    request = command.encode_store_request(message_id, ONE.sop_class_uid, ONE.sop_instance_uid)
    parts = fragment(1, True, request, 16384) + fragment(1, False, data, 16384)
    return b"".join(bytes(part) for part in parts)


@contextmanager
def running(limits: PeerLimits | None = None, **options: object) -> Iterator[DicomReceiver]:
    server = DicomReceiver(DicomReceiverOptions(port=0, **options), limits)  # type: ignore[arg-type]
    server.start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def associated(port: int) -> Iterator[socket.socket]:
    """A guest with an association that was accepted."""
    with connected(port) as guest:
        guest.sendall(REQUEST)
        assert isinstance(Peer(guest, []).receive(), pdu.AssociateAccept)
        yield guest


def statuses(port: int, order: int = 1, tls: ssl.SSLContext | None = None) -> list[int]:
    """Of a study of two instances, by our own sender."""
    sender = DimseStudySender(tls)
    destination = DicomDestination(aet="ANY", host="127.0.0.1", port=port, tls=tls is not None)
    try:
        return [result.status for result in sender.store(destination, study(order, 2), time.monotonic() + 60)]
    finally:
        sender.close()


# --- What is not DICOM, or not at this moment -------------------------------------------------------------------------

Guest: TypeAlias = Callable[[socket.socket], None]


def http(guest: socket.socket) -> None:
    guest.sendall(b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n")
    assert was_closed(guest)


def random_bytes(guest: socket.socket) -> None:
    guest.sendall(random.Random(7).randbytes(5000))


def half_a_request_and_the_end(guest: socket.socket) -> None:
    guest.sendall(REQUEST[:-10])


def half_a_request_and_a_reset(guest: socket.socket) -> None:
    guest.sendall(REQUEST[:-10])
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def a_request_that_contradicts_itself(guest: socket.socket) -> None:
    request = bytearray(REQUEST)
    request[76:78] = b"\xff\xff"  # the length of its first item
    guest.sendall(request)
    assert was_closed(guest)


def a_request_of_nothing(guest: socket.socket) -> None:
    guest.sendall(b"\1\0\0\0\0\0")
    assert was_closed(guest)


def a_request_without_transfer_syntaxes(guest: socket.socket) -> None:
    contexts = (pdu.ProposedContext(1, CT_IMAGE_STORAGE, ()),)
    guest.sendall(pdu.AssociateRequest("ANY", "GUEST", contexts, 16384).encode())
    assert was_closed(guest)


def data_before_the_association(guest: socket.socket) -> None:
    guest.sendall(c_store())
    assert was_closed(guest)


def a_second_request(guest: socket.socket) -> None:
    guest.sendall(REQUEST * 2)
    assert was_closed(guest)


def an_unknown_pdu(guest: socket.socket) -> None:
    guest.sendall(REQUEST + b"\x4d\0\0\0\0\4" + bytes(4))
    assert was_closed(guest)


def data_in_a_context_that_nobody_proposed(guest: socket.socket) -> None:
    request = command.encode_store_request(1, ONE.sop_class_uid, ONE.sop_instance_uid)
    parts = fragment(99, True, request, 16384) + fragment(99, False, bytes(ONE.data), 16384)
    guest.sendall(REQUEST + b"".join(bytes(part) for part in parts))
    assert was_closed(guest)


def a_value_that_is_longer_than_its_pdu(guest: socket.socket) -> None:
    guest.sendall(REQUEST + b"\4\0\0\0\0\6" + b"\xff\xff\xff\xff\1\3")
    assert was_closed(guest)


def a_command_set_of_junk(guest: socket.socket) -> None:
    guest.sendall(REQUEST + b"".join(bytes(part) for part in fragment(1, True, b"\xff" * 50, 16384)))
    assert was_closed(guest)


def half_an_instance_and_the_end(guest: socket.socket) -> None:
    guest.sendall(REQUEST + c_store()[:-10])


def an_abort_in_the_middle_of_an_instance(guest: socket.socket) -> None:
    half = pdu.DataTransfer((pdu.DataValue(1, False, False, bytes(ONE.data)[:300]),))
    request = command.encode_store_request(1, ONE.sop_class_uid, ONE.sop_instance_uid)
    parts = [bytes(part) for part in fragment(1, True, request, 16384)]
    guest.sendall(b"".join((REQUEST, *parts, half.encode(), pdu.Abort().encode())))
    assert was_closed(guest)


GUESTS = [
    http,
    random_bytes,
    half_a_request_and_the_end,
    half_a_request_and_a_reset,
    a_request_that_contradicts_itself,
    a_request_of_nothing,
    a_request_without_transfer_syntaxes,
    data_before_the_association,
    a_second_request,
    an_unknown_pdu,
    data_in_a_context_that_nobody_proposed,
    a_value_that_is_longer_than_its_pdu,
    a_command_set_of_junk,
    half_an_instance_and_the_end,
    an_abort_in_the_middle_of_an_instance,
]


@pytest.mark.parametrize("behaviour", GUESTS, ids=lambda behaviour: behaviour.__name__)
def test_nothing_of_it_is_kept_and_others_are_served(behaviour: Guest) -> None:
    with running() as server:
        for _ in range(2):
            with connected(server.port) as guest:
                behaviour(guest)
        assert statuses(server.port) == [0, 0]
        assert [entry.study.patient.id for entry in server.ledger.entries()] == ["P1"]


def test_what_is_no_data_set_is_answered_and_the_association_goes_on() -> None:
    with running() as server, associated(server.port) as guest:
        peer = Peer(guest, [])
        for message_id, (data, status) in enumerate([(b"\xff" * 500, 0xC000), (bytes(ONE.data), 0), (b"", 0xC000)], 1):
            guest.sendall(c_store(data or b"\0\0", message_id))
            answer = peer.receive()
            assert isinstance(answer, pdu.DataTransfer)
            response = command.decode_store_response(answer.values[0].data)
            assert (response.message_id, response.status) == (message_id, status)


def test_a_request_in_tiny_pdus_is_taken() -> None:
    """One byte of the command set in each P-DATA-TF, eight of the data set, all of it sent byte by byte."""
    request = command.encode_store_request(1, ONE.sop_class_uid, ONE.sop_instance_uid)
    parts = [
        pdu.DataTransfer((pdu.DataValue(1, True, index == len(request) - 1, request[index : index + 1]),)).encode()
        for index in range(len(request))
    ]
    parts += [bytes(part) for part in fragment(1, False, bytes(ONE.data), 14)]
    with running() as server, associated(server.port) as guest:
        guest.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"".join(parts):
            guest.sendall(bytes((byte,)))
        answer = Peer(guest, []).receive()
        assert isinstance(answer, pdu.DataTransfer)
        assert command.decode_store_response(answer.values[0].data).status == 0


# --- What takes its time, or room -------------------------------------------------------------------------------------


@pytest.mark.parametrize("beginning", [REQUEST[:3], REQUEST[:-10]], ids=["half a header", "half a request"])
def test_a_request_that_does_not_end_in_time_ends_its_connection(beginning: bytes) -> None:
    with running(PeerLimits(pdu_seconds=0.3)) as server, connected(server.port) as guest:
        guest.sendall(beginning)
        assert was_closed(guest)
        assert statuses(server.port) == [0, 0]


def test_a_pdu_that_comes_a_byte_at_a_time_ends_its_connection_when_its_time_is_over() -> None:
    with running(PeerLimits(pdu_seconds=0.5)) as server, associated(server.port) as guest:
        with suppress(ConnectionError):
            for byte in c_store() * 10:
                guest.sendall(bytes((byte,)))
                time.sleep(0.01)
        assert was_closed(guest)
        assert statuses(server.port) == [0, 0]


@pytest.mark.parametrize("kind", [1, 4], ids=["A-ASSOCIATE-RQ", "P-DATA-TF"])
def test_a_huge_pdu_is_not_even_begun(kind: int) -> None:
    with running() as server, associated(server.port) if kind == 4 else connected(server.port) as guest:
        guest.sendall(bytes((kind, 0)) + b"\xff\xff\xff\xff")
        assert was_closed(guest)
        assert statuses(server.port) == [0, 0]


def test_an_instance_without_end_is_left_at_the_limit() -> None:
    limits = PeerLimits(message_size=1 << 20)
    request = command.encode_store_request(1, ONE.sop_class_uid, ONE.sop_instance_uid)
    chunk = pdu.DataTransfer((pdu.DataValue(1, False, False, bytes(16_000)),)).encode()
    with running(limits) as server, associated(server.port) as guest:
        guest.sendall(b"".join(bytes(part) for part in fragment(1, True, request, 16384)))
        with suppress(ConnectionError):
            for _ in range(1000):
                guest.sendall(chunk)
            pytest.fail("16 MB were taken")
        assert statuses(server.port) == [0, 0]


def test_an_instance_within_the_limit_is_taken() -> None:
    with running(PeerLimits(message_size=1 << 20)) as server:
        sender = DimseStudySender()
        destination = DicomDestination(aet="ANY", host="127.0.0.1", port=server.port)
        large = [instance(1, number, size=1_000_000) for number in range(3)]
        assert {result.status for result in sender.store(destination, large, time.monotonic() + 60)} == {0}
        sender.close()


def test_requests_that_come_without_waiting_for_answers_are_read_as_they_are_answered() -> None:
    """All are answered in the end, and at no moment does more than one wait in memory: the rest can't be sent."""
    large, count = bytes(instance(size=4_000_000).data), 8
    requests = memoryview(b"".join(c_store(large, number) for number in range(1, count + 1)))
    with running(delay_ms=500) as server, associated(server.port) as guest:
        guest.settimeout(0.3)
        sent = 0
        with suppress(TimeoutError):
            while sent < len(requests):
                sent += guest.send(requests[sent:])
        assert sent < len(requests) * 2 / 3
        guest.settimeout(30)
        rest = threading.Thread(target=guest.sendall, args=(requests[sent:],))
        rest.start()
        peer = Peer(guest, [])
        for number in range(1, count + 1):
            answer = peer.receive()
            assert isinstance(answer, pdu.DataTransfer)
            assert command.decode_store_response(answer.values[0].data).message_id == number
        rest.join()


# --- Many of them -----------------------------------------------------------------------------------------------------


def test_hundreds_of_silent_connections_keep_nobody_out() -> None:
    with running(PeerLimits(waiting=10, associations=4)) as server:
        silent = [socket.create_connection(("127.0.0.1", server.port), timeout=30) for _ in range(150)]
        assert statuses(server.port) == [0, 0]
        # One had to go for the study.
        wait_until(lambda: select.select(silent, [], [], 0)[0] == silent[:141], 30, "the end of those without room")
        for guest in silent:
            guest.close()


def test_connections_that_end_at_once_do_not_count_as_associations() -> None:
    with running(PeerLimits(waiting=10, associations=4)) as server:
        for _ in range(100):
            socket.create_connection(("127.0.0.1", server.port)).close()
        with associated(server.port), associated(server.port), associated(server.port):
            assert statuses(server.port) == [0, 0]


def test_more_associations_than_there_may_be_are_rejected_for_now() -> None:
    with running(PeerLimits(waiting=1, associations=2)) as server:
        guests, answers = [], []
        for _ in range(4):
            guests.append(socket.create_connection(("127.0.0.1", server.port), timeout=30))
            guests[-1].sendall(REQUEST)
            answers.append(Peer(guests[-1], []).receive())
        assert [type(answer) for answer in answers] == [pdu.AssociateAccept] * 2 + [pdu.AssociateReject] * 2
        assert answers[-1] == pdu.AssociateReject(2, 3, 2)  # local limit exceeded, for now
        for guest in guests:
            guest.close()
        wait_until(lambda: statuses(server.port) == [0, 0], 30, "a place for a study")


def test_a_peer_that_never_begins_with_tls_keeps_nobody_out(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    limits = PeerLimits(pdu_seconds=3.0)
    with running(limits, tls_cert_file=certificate) as server, connected(server.port) as silent:
        with connected(server.port) as plain:
            plain.sendall(REQUEST)
            assert was_closed(plain)
        assert statuses(server.port, tls=trusting) == [0, 0]
        assert was_closed(silent)


def test_huge_and_endless_pdus_on_many_connections_leave_the_memory_where_it_is() -> None:
    with receiver("dicom", "--port", "0") as program:
        port = program.ready()["port"]
        assert statuses(port) == [0, 0]
        before = most_memory(program.process.pid)
        guests = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(32)]
        for guest in guests:
            with suppress(ConnectionError):
                guest.sendall(b"\1\0\xff\xff\xff\xff")
                for _ in range(16):
                    guest.sendall(bytes(1 << 20))
        assert all(was_closed(guest) for guest in guests)
        assert statuses(port, 2) == [0, 0]
        assert most_memory(program.process.pid) - before < 150
        for guest in guests:
            guest.close()
