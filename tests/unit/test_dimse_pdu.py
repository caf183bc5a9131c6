"""PDUs and command sets, byte by byte (PS3.8 section 9.3, PS3.7 section 9.3.1)."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode as decode_dataset
from pynetdicom.dsutils import encode as encode_dataset
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from app.adapters.senders.dimse import command
from app.dicom.network import pdu
from app.dicom.network.fragments import fragment
from app.domain.study import StoreOutcome

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"

REQUEST = pdu.AssociateRequest("STORE", "YEETER", (pdu.ProposedContext(1, CT, (EXPLICIT,)),), 16384, "1.2.3", "V1")
REQUEST_BYTES = (
    b"\x01\0" + b"\0\0\0\xb4"  # A-ASSOCIATE-RQ of 180 bytes
    b"\0\1\0\0" + b"STORE           " + b"YEETER          " + bytes(32) +
    b"\x10\0\0\x15" + b"1.2.840.10008.3.1.1.1"  # application context
    b"\x20\0\0\x38" + b"\1\0\0\0"  # presentation context 1
    b"\x30\0\0\x19" + b"1.2.840.10008.5.1.4.1.1.2"  # abstract syntax
    b"\x40\0\0\x13" + b"1.2.840.10008.1.2.1"  # transfer syntax
    b"\x50\0\0\x17"  # user information
    b"\x51\0\0\4" + b"\0\0\x40\0"  # maximum length 16,384
    b"\x52\0\0\5" + b"1.2.3"  # implementation class UID
    b"\x55\0\0\2" + b"V1"
)  # fmt: skip

EXAMPLES = [
    pytest.param(REQUEST, REQUEST_BYTES, id="A-ASSOCIATE-RQ"),
    pytest.param(
        pdu.AssociateAccept("STORE", "YEETER", (pdu.ContextResult(1, 0, IMPLICIT),), 0, "1.2.3", "V1"),
        b"\x02\0" + b"\0\0\0\x95"  # of 149 bytes
        b"\0\1\0\0" + b"STORE           " + b"YEETER          " + bytes(32) +
        b"\x10\0\0\x15" + b"1.2.840.10008.3.1.1.1"
        b"\x21\0\0\x19" + b"\1\0\0\0"  # presentation context 1: acceptance
        b"\x40\0\0\x11" + b"1.2.840.10008.1.2"
        b"\x50\0\0\x17" + b"\x51\0\0\4\0\0\0\0" + b"\x52\0\0\5" + b"1.2.3" + b"\x55\0\0\2" + b"V1",
        id="A-ASSOCIATE-AC",
    ),
    pytest.param(
        pdu.AssociateAccept("STORE", "YEETER", (), 0, "1.2.3", "V1", pdu.OperationsWindow(16, 1)),
        b"\x02\0" + b"\0\0\0\x80"  # of 128 bytes
        b"\0\1\0\0" + b"STORE           " + b"YEETER          " + bytes(32) +
        b"\x10\0\0\x15" + b"1.2.840.10008.3.1.1.1"
        b"\x50\0\0\x1f" + b"\x51\0\0\4\0\0\0\0" + b"\x52\0\0\5" + b"1.2.3"
        b"\x53\0\0\4" + b"\0\x10\0\1"  # asynchronous operations window: 16 invoked, 1 performed
        b"\x55\0\0\2" + b"V1",
        id="A-ASSOCIATE-AC with a window",
    ),
    pytest.param(pdu.AssociateReject(1, 1, 7), b"\x03\0\0\0\0\4\0\1\1\7", id="A-ASSOCIATE-RJ"),
    pytest.param(
        pdu.DataTransfer((pdu.DataValue(1, True, True, b"cmd!"), pdu.DataValue(1, False, False, b"data"))),
        b"\x04\0\0\0\0\x14" + b"\0\0\0\6\1\3cmd!" + b"\0\0\0\6\1\0data",
        id="P-DATA-TF",
    ),
    pytest.param(pdu.ReleaseRequest(), b"\x05\0\0\0\0\4\0\0\0\0", id="A-RELEASE-RQ"),
    pytest.param(pdu.ReleaseResponse(), b"\x06\0\0\0\0\4\0\0\0\0", id="A-RELEASE-RP"),
    pytest.param(pdu.Abort(2, 1), b"\x07\0\0\0\0\4\0\0\2\1", id="A-ABORT"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "encoded"), EXAMPLES)
def test_each_pdu_has_the_bytes_of_the_standard(value: pdu.Pdu, encoded: bytes) -> None:
    assert value.encode() == encoded
    assert pdu.decode(encoded[0], encoded[6:]) == value


def test_association_requests_and_answers_read_the_same_in_pynetdicom() -> None:
    request = A_ASSOCIATE_RQ()
    request.decode(replace(REQUEST, window=pdu.OperationsWindow(16, 1)).encode())
    accept = A_ASSOCIATE_AC()
    accept.decode(pdu.AssociateAccept("A", "B", (pdu.ContextResult(3, 4, EXPLICIT),), 4096).encode())

    assert (request.called_ae_title.strip(), request.calling_ae_title.strip()) == ("STORE", "YEETER")
    assert [(cx.context_id, cx.abstract_syntax) for cx in request.presentation_context] == [(1, CT)]
    assert request.user_information.maximum_length == 16384
    window = request.user_information.async_ops_window
    assert window is not None
    assert (window.max_operations_invoked, window.max_operations_performed) == (16, 1)
    assert [(cx.context_id, cx.result) for cx in accept.presentation_context] == [(3, 4)]
    assert accept.user_information.maximum_length == 4096


uids = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,5}){1,8}", fullmatch=True)
titles = st.from_regex(r"[A-Z0-9_]([A-Z0-9_ ]{0,14}[A-Z0-9_])?", fullmatch=True)
context_ids = st.integers(0, 127).map(lambda number: 2 * number + 1)
byte = st.integers(0, 255)
lengths = st.integers(0, 2**32 - 1)
proposed = st.builds(pdu.ProposedContext, context_ids, uids, st.lists(uids, max_size=4).map(tuple))
results = st.builds(pdu.ContextResult, context_ids, st.integers(0, 4), uids)
shorts = st.integers(0, 2**16 - 1)
windows = st.none() | st.builds(pdu.OperationsWindow, shorts, shorts)
values = st.builds(pdu.DataValue, context_ids, st.booleans(), st.booleans(), st.binary(max_size=60))
pdus = st.one_of(
    st.builds(
        pdu.AssociateRequest, titles, titles, st.lists(proposed, max_size=5).map(tuple), lengths, uids, titles, windows
    ),
    st.builds(
        pdu.AssociateAccept, titles, titles, st.lists(results, max_size=5).map(tuple), lengths, uids, titles, windows
    ),
    st.builds(pdu.AssociateReject, byte, byte, byte),
    st.builds(pdu.DataTransfer, st.lists(values, max_size=5).map(tuple)),
    st.builds(pdu.Abort, byte, byte),
)


@given(pdus)
def test_a_pdu_is_read_as_it_was_written(value: pdu.Pdu) -> None:
    encoded = value.encode()
    assert int.from_bytes(encoded[2:6], "big") == len(encoded) - 6
    assert pdu.decode(encoded[0], encoded[6:]) == value


@given(st.one_of(byte, st.integers(1, 7)), st.binary(max_size=200))
def test_any_bytes_are_a_pdu_or_an_error(kind: int, body: bytes) -> None:
    with contextlib.suppress(pdu.PduError):
        pdu.decode(kind, body)


@given(pdus, st.data())
def test_a_pdu_with_a_changed_byte_is_a_pdu_or_an_error(value: pdu.Pdu, data: st.DataObject) -> None:
    body = bytearray(value.encode()[6:])
    if body:
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(byte)
        with contextlib.suppress(pdu.PduError):
            pdu.decode(value.TYPE, body)


@given(st.binary(max_size=400), st.integers(8, 100), st.booleans())
def test_fragments_respect_the_limit_and_join_to_the_data(data: bytes, max_pdu: int, is_command: bool) -> None:
    encoded = b"".join(fragment(5, is_command, memoryview(data), max_pdu))

    joined = bytearray()
    lasts = []
    while encoded:
        length = int.from_bytes(encoded[2:6], "big")
        (value,) = pdu.DataTransfer.decode(encoded[6 : 6 + length]).values
        assert length <= max_pdu
        assert (value.context_id, value.is_command) == (5, is_command)
        joined += value.data
        lasts.append(value.is_last)
        encoded = encoded[6 + length :]
    assert joined == data
    assert lasts == [False] * (len(lasts) - 1) + [True]


def test_fragments_are_slices_of_the_data_not_copies() -> None:
    data = memoryview(bytes(100))
    slices = fragment(1, False, data, 46)[1::2]
    assert [len(part) for part in slices] == [40, 40, 20]
    assert all(isinstance(part, memoryview) and part.obj is data.obj for part in slices)


def test_without_a_limit_everything_goes_into_one_pdu() -> None:
    assert fragment(1, False, bytes(50_000), 0)[0] == b"\x04\0" + b"\0\0\xc3\x56" + b"\0\0\xc3\x52" + b"\1\2"


@pytest.mark.parametrize("max_pdu", [1, 6, 7])
def test_a_limit_that_leaves_no_room_is_an_error(max_pdu: int) -> None:
    with pytest.raises(pdu.PduError, match="no room"):
        fragment(1, False, b"data", max_pdu)


def test_a_store_request_has_the_bytes_of_the_standard() -> None:
    assert (
        command.encode_store_request(0x0102, "1.2.3", "1.4")
        == (
            b"\0\0\0\0\4\0\0\0" + b"\x42\0\0\0"  # group length: 66 bytes follow
            b"\0\0\2\0\6\0\0\0" + b"1.2.3\0"  # affected SOP class UID, padded
            b"\0\0\0\1\2\0\0\0" + b"\1\0"  # command field: C-STORE-RQ
            b"\0\0\x10\1\2\0\0\0" + b"\2\1"  # message ID
            b"\0\0\0\7\2\0\0\0" + b"\0\0"  # priority: medium
            b"\0\0\0\x08\2\0\0\0" + b"\1\0"  # data set follows
            b"\0\0\0\x10\4\0\0\0" + b"1.4\0"  # affected SOP instance UID
        )
    )


def test_a_store_request_reads_the_same_in_pydicom() -> None:
    encoded = command.encode_store_request(7, CT, "2.25.1")
    ds = decode_dataset(BytesIO(encoded), True, True)
    assert (ds.CommandGroupLength, ds.AffectedSOPClassUID, ds.CommandField) == (len(encoded) - 12, CT, 1)
    assert (ds.MessageID, ds.Priority, ds.AffectedSOPInstanceUID) == (7, 0, "2.25.1")


def response(**attributes: object) -> bytes:
    ds = Dataset()
    elements = {"CommandField": 0x8001, "MessageIDBeingRespondedTo": 9, "CommandDataSetType": 0x0101, "Status": 0}
    for keyword, value in (elements | attributes).items():
        setattr(ds, keyword, value)
    encoded: bytes | None = encode_dataset(ds, True, True)
    return encoded or b""


def test_a_store_response_is_read() -> None:
    encoded = response(Status=0xA700, ErrorComment="disk full", AffectedSOPInstanceUID="1.2.3")
    assert command.decode_store_response(encoded) == command.StoreResponse(9, 0xA700, "disk full")


@pytest.mark.parametrize(
    ("encoded", "problem"),
    [
        (b"", "where 2 belong"),
        (response()[:-1], "in a command set"),
        (response()[:-9], "ends within an element"),
        (response(CommandField=0x8020), "no C-STORE-RSP"),
        (response(CommandDataSetType=1), "announces a data set"),
        (response(Status=None), "0900"),
        (b"\x08\0\x18\0\4\0\0\0" + b"1.2\0", "0008,0018"),
    ],
)
def test_what_is_no_store_response_is_an_error(encoded: bytes, problem: str) -> None:
    with pytest.raises(pdu.PduError, match=problem):
        command.decode_store_response(encoded)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_store_response_or_an_error(data: bytes) -> None:
    with contextlib.suppress(pdu.PduError):
        command.decode_store_response(data)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0x0000, "stored"),
        (0xB000, "warning"),
        (0xB006, "warning"),
        (0xB007, "warning"),
        (0x0111, "already_there"),
        (0xA700, "out_of_resources"),
        (0xA7FF, "out_of_resources"),
        (0xA900, "refused"),
        (0xA9FF, "refused"),
        (0x0122, "refused"),
        (0xC000, "failed"),
        (0xCFFF, "failed"),
        (0xB001, "failed"),
        (0xFF00, "failed"),
        (0x0110, "failed"),
    ],
)
def test_each_status_has_its_outcome(status: int, outcome: StoreOutcome) -> None:
    assert command.store_outcome(status) == outcome
