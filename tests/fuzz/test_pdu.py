"""Whatever an archive sends: a PDU, or an error that is documented; never anything else, and never without an end."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.adapters.senders.dimse import TimeLimits
from app.adapters.senders.dimse.association import Association, AssociationFault
from app.adapters.senders.dimse.command import StoreResponse
from app.adapters.senders.dimse.negotiation import PendingAssociation
from app.adapters.upper_layer.connection import ConnectionLost, PduConnection
from app.dicom.network import pdu
from app.domain.destination import DicomDestination
from app.domain.errors import PermanentError, TransportFault
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN
from tests.contract.instances import CT_IMAGE_STORAGE, instance
from tests.contract.scripted_scp import store_response
from tests.fuzz.mutations import damaged, randomly_damaged
from tests.fuzz.profile import EXAMPLES, examples
from tests.services.processes import ResidentMemory

SYNTAXES = (CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)
ACCEPT = pdu.AssociateAccept("A", "B", (pdu.ContextResult(1, 0, EXPLICIT_VR_LITTLE_ENDIAN),), 16384)
PDUS: list[pdu.Pdu] = [
    ACCEPT,
    pdu.AssociateRequest("A", "B", (pdu.ProposedContext(1, CT_IMAGE_STORAGE, (EXPLICIT_VR_LITTLE_ENDIAN,)),), 16384),
    pdu.AssociateReject(1, 1, 7),
    pdu.AssociateReject(2, 3, 2),
    store_response(1, 1, 0),
    store_response(1, 1, 0xA700),
    store_response(1, 2, 0),
    store_response(1, 1, None),
    pdu.DataTransfer(()),
    pdu.ReleaseRequest(),
    pdu.ReleaseResponse(),
    pdu.Abort(2, 1),
]
valid = st.sampled_from([one.encode() for one in PDUS])
streams = st.lists(st.one_of(valid, damaged(valid), st.binary(max_size=40)), max_size=4).map(b"".join)
DESTINATION = DicomDestination(aet="ARCHIVE", host="127.0.0.1", port=104)
ONE = instance()


def soon() -> float:
    """The peer of these tests has said all it will say, and closed: no test waits for this."""
    return time.monotonic() + 30


@contextlib.contextmanager
def connected() -> Iterator[tuple[PduConnection, socket.socket]]:
    """A connection and its peer's side."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = PduConnection.open("127.0.0.1", listener.getsockname()[1], None, 30)
        peer, _ = listener.accept()
    with peer, contextlib.closing(connection):
        yield connection, peer


def say(peer: socket.socket, chunks: Sequence[bytes]) -> None:
    for chunk in chunks:
        peer.sendall(chunk)
    peer.shutdown(socket.SHUT_WR)


@examples(200)
@given(streams, st.lists(st.integers(0, 300), max_size=4))
def test_a_stream_is_pdus_and_then_an_error_that_is_documented(stream: bytes, places: list[int]) -> None:
    ends = sorted({min(place, len(stream)) for place in places} | {len(stream)})
    chunks = [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    with connected() as (connection, peer):
        say(peer, chunks)
        with contextlib.suppress(ConnectionLost, pdu.PduError):
            for _ in range(len(stream) + 1):
                connection.receive(soon())
            raise AssertionError("more PDUs than bytes")


@examples(150)
@given(streams)
def test_an_answer_to_a_store_is_one_or_a_fault(stream: bytes) -> None:
    with connected() as (connection, peer):
        association = Association(DESTINATION, connection, {1: SYNTAXES}, ACCEPT, TimeLimits())
        say(peer, [stream])
        try:
            message_id = association.send(ONE, soon())
            response = association.receive(soon())
        except AssociationFault:
            assert not association.is_usable
        else:
            assert isinstance(response, StoreResponse)
            assert response.message_id == message_id == 1


@examples(150)
@given(streams)
def test_an_answer_to_an_association_request_is_one_or_a_fault(stream: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        destination = DESTINATION.model_copy(update={"port": listener.getsockname()[1]})
        pending = PendingAssociation(destination, [SYNTAXES], None, TimeLimits(release=0.1), soon())
        peer, _ = listener.accept()
    with peer:
        say(peer, [stream])
        try:
            association = pending.wait(soon())
        except (AssociationFault, TransportFault):
            return
        assert association is not None
        with contextlib.suppress(AssociationFault, PermanentError):
            association.send(ONE, soon())
            association.receive(soon())
        association.abort()


PER_CONNECTION = 10
OF_THESE_WHOLE = 0.7


def test_the_memory_of_many_connections_stays_where_it_is(record_property: Callable[[str, object], None]) -> None:
    """Five PDUs an example (100,000 in the long form of 20,000), ten a connection, every third or so with damage."""
    chance = random.Random(EXAMPLES)
    originals = [one.encode() for one in PDUS]
    connections = 5 * max(EXAMPLES, 400) // PER_CONNECTION
    memory, received = ResidentMemory(), 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for number in range(connections):
            if number == connections // 10:
                memory.begin()
            drawn = [chance.choice(originals) for _ in range(PER_CONNECTION)]
            sent = [one if chance.random() < OF_THESE_WHOLE else randomly_damaged(chance, one) for one in drawn]
            connection = PduConnection.open("127.0.0.1", listener.getsockname()[1], None, 30)
            peer, _ = listener.accept()
            with peer, contextlib.closing(connection), contextlib.suppress(ConnectionLost, pdu.PduError):
                say(peer, [b"".join(sent)])
                while True:
                    connection.receive(soon())
                    received += 1
    record_property("pdus", connections * PER_CONNECTION)
    record_property("pdus_read", received)
    record_property("pdu_memory_growth_mib", memory.growth())
    assert received > connections
