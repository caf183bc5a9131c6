"""Command sets of the C-STORE service (PS3.7 section 9.3.1) and what their statuses mean (PS3.4 annex B.2.3).

C-STORE-RQ                               C-STORE-RSP
0000  group length                       0000  group length
0002  affected SOP class UID             0002  affected SOP class UID
0100  command field 0001                 0100  command field 8001
0110  message ID                         0120  message ID being responded to
0700  priority 0000 (medium)             0800  data set type 0101 (none)
0800  data set type 0001 (one follows)   0900  status
1000  affected SOP instance UID          0902  error comment, 1000 affected SOP instance UID
"""

from __future__ import annotations

from app.dicom.network import command_set
from app.dicom.network.command_set import decode_command_set, encode_command_set, number
from app.dicom.network.pdu import Buffer, PduError
from app.domain.records import record
from app.domain.study import StoreOutcome

DUPLICATE_SOP_INSTANCE = 0x0111
_OUTCOMES: dict[int, StoreOutcome] = {
    0x0000: "stored",
    0xB000: "warning",  # coercion of data elements
    0xB006: "warning",  # elements discarded
    0xB007: "warning",  # data set does not match SOP class
    DUPLICATE_SOP_INSTANCE: "already_there",
    0x0122: "refused",  # SOP class not supported
}


@record(frozen=True, slots=True)
class StoreResponse:
    """The parameters of a C-STORE-RSP that we use."""

    message_id: int
    status: int
    comment: str


def store_outcome(status: int) -> StoreOutcome:
    """What a C-STORE status means for the instance; a status nobody defined is a failure."""
    if status in _OUTCOMES:
        return _OUTCOMES[status]
    if status & 0xFF00 == 0xA700:
        return "out_of_resources"
    if status & 0xFF00 == 0xA900:
        return "refused"
    return "failed"


def encode_store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The command set of a C-STORE-RQ with medium priority."""
    return encode_command_set(
        {
            command_set.AFFECTED_SOP_CLASS_UID: sop_class_uid.encode("ascii"),
            command_set.COMMAND_FIELD: command_set.C_STORE_RQ,
            command_set.MESSAGE_ID: message_id,
            command_set.PRIORITY: 0,
            command_set.DATA_SET_TYPE: command_set.HAS_DATA_SET,
            command_set.AFFECTED_SOP_INSTANCE_UID: sop_instance_uid.encode("ascii"),
        }
    )


def decode_store_response(data: Buffer) -> StoreResponse:
    """The parameters of a C-STORE-RSP.

    Raises:
        PduError: not a command set, not that of a C-STORE-RSP, without a status, or one that announces a data set.
    """
    elements = decode_command_set(data)
    if number(elements, command_set.COMMAND_FIELD) != command_set.C_STORE_RSP:
        raise PduError("an answer that is no C-STORE-RSP")
    if number(elements, command_set.DATA_SET_TYPE) != command_set.NO_DATA_SET:
        raise PduError("a C-STORE-RSP that announces a data set")
    comment = elements.get(command_set.ERROR_COMMENT, b"").decode("ascii", "replace").strip(" \0")
    message_id = number(elements, command_set.MESSAGE_ID_BEING_RESPONDED_TO)
    return StoreResponse(message_id, number(elements, command_set.STATUS), comment)
