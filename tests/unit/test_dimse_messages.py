"""The C-STORE sender's short cuts give the bytes, and read them, as the code does that takes no short cut."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode as decode_dataset
from pynetdicom.dsutils import encode as encode_dataset

from app.adapters.senders.dimse import command, messages
from app.dicom.network import pdu
from app.dicom.network.fragments import fragment

CT = "1.2.840.10008.5.1.4.1.1.2"
UID = "2.25.1234567"

uids = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,5}){1,8}", fullmatch=True)
message_ids = st.integers(1, 0xFFFF)


@given(message_ids, uids, uids, st.binary(max_size=300), st.sampled_from([0, 8, 60, 150, 16384]))
def test_a_request_has_the_bytes_of_its_command_set_and_data_set(
    message_id: int, sop_class: str, uid: str, data: bytes, max_pdu: int
) -> None:
    form = messages.StoreForm(3, max_pdu, sop_class, len(uid))
    encoded = command.encode_store_request(message_id, sop_class, uid)
    expected = fragment(3, True, encoded, max_pdu) + fragment(3, False, data, max_pdu)
    assert b"".join(form.request(message_id, uid, data)) == b"".join(expected)


def test_a_request_reads_the_same_in_pydicom_whatever_came_before_it() -> None:
    form = messages.StoreForm(1, 16384, CT, len(UID))
    form.request(1, UID, b"data")
    first, header_and_all = form.request(0x0203, UID[::-1], b"data")
    (value,) = pdu.DataTransfer.decode(first[6 : 6 + int.from_bytes(first[2:6], "big")]).values
    ds = decode_dataset(BytesIO(value.data), True, True)
    assert (value.context_id, value.is_command, value.is_last) == (1, True, True)
    assert (ds.AffectedSOPClassUID, ds.CommandField, ds.MessageID) == (CT, 1, 0x0203)
    assert (ds.AffectedSOPInstanceUID, ds.CommandDataSetType) == (UID[::-1], 1)
    assert header_and_all == b"data"


def test_an_instance_that_fits_a_pdu_is_two_buffers_the_second_of_them_its_own() -> None:
    data = memoryview(bytes(1000))
    parts = messages.StoreForm(1, 16384, CT, len(UID)).request(1, UID, data)
    assert len(parts) == 2
    assert isinstance(parts[1], memoryview) and parts[1].obj is data.obj


def test_a_limit_that_leaves_no_room_is_an_error() -> None:
    with pytest.raises(pdu.PduError, match="no room"):
        messages.StoreForm(1, 7, CT, len(UID))


# --- Answers ----------------------------------------------------------------------------------------------------------


def answer(message_id: int = 7, uid: str | None = UID, **attributes: object) -> bytes:
    """A P-DATA-TF with a C-STORE-RSP; attributes that are None are left out."""
    ds = Dataset()
    elements: dict[str, object] = {
        "AffectedSOPClassUID": CT,
        "CommandField": 0x8001,
        "MessageIDBeingRespondedTo": message_id,
        "CommandDataSetType": 0x0101,
        "Status": 0,
        "AffectedSOPInstanceUID": uid,
    }
    for keyword, value in (elements | attributes).items():
        if value is not None:
            setattr(ds, keyword, value)
    encoded = encode_dataset(ds, True, True)
    assert encoded is not None
    return pdu.DataTransfer((pdu.DataValue(1, True, True, encoded),)).encode()


def learned(encoded: bytes, uid: str = UID) -> messages.StoreForm:
    form = messages.StoreForm(1, 16384, CT, len(uid))
    (value,) = pdu.DataTransfer.decode(encoded[6:]).values
    form.learn(encoded, command.decode_store_response(value.data), uid)
    return form


OTHER = "2.25.7654321"


@pytest.mark.parametrize(
    "left_out", [{}, {"AffectedSOPClassUID": None}, {"uid": None}, {"AffectedSOPClassUID": None, "uid": None}], ids=str
)
@given(message_id=message_ids)
def test_a_success_like_one_that_was_learned_is_known(left_out: dict[str, None], message_id: int) -> None:
    form = learned(answer(7, **left_out))
    assert form.is_success(answer(message_id, **{"uid": OTHER} | left_out), message_id, OTHER)


def test_nothing_is_known_at_first() -> None:
    assert not messages.StoreForm(1, 16384, CT, len(UID)).is_success(answer(7), 7, UID)


@pytest.mark.parametrize(
    "other",
    [
        answer(8),
        answer(7, OTHER),
        answer(7, Status=0xA700),
        answer(7, Status=0x0100),
        answer(7, CommandField=0x8020),
        answer(7, CommandDataSetType=1),
        answer(7, AffectedSOPClassUID=None),
        answer(7, ErrorComment="but"),
        answer(7) + answer(8),
        answer(7)[:-1],
        b"",
    ],
)
def test_what_differs_from_it_is_not(other: bytes) -> None:
    assert not learned(answer(7)).is_success(other, 7, UID)


@given(st.data())
def test_no_changed_byte_passes_for_it(data: st.DataObject) -> None:
    changed = bytearray(answer(7))
    place = data.draw(st.integers(0, len(changed) - 1))
    changed[place] ^= data.draw(st.integers(1, 255))
    assert not learned(answer(7)).is_success(bytes(changed), 7, UID)


@pytest.mark.parametrize(
    "encoded",
    [
        answer(7, Status=0xB000),
        answer(7, ErrorComment="stored"),
        answer(7, OTHER),
        answer(7, AttributeIdentifierList=[9]),
    ],
    ids=["a warning", "a comment", "another instance", "more after the UID"],
)
def test_only_a_success_that_says_no_more_is_learned(encoded: bytes) -> None:
    assert not learned(encoded).is_success(encoded, 7, UID)
