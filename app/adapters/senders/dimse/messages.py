"""C-STORE messages as PDUs: requests ready to be gathered, and answers that are known by their bytes.

A request is one P-DATA-TF with the command set and as many with the data set as the peer's limit asks for (PS3.8
section 9.3.5, annex E), each with a single value. Of the first one only the message ID and the instance's UID change
from request to request, so the rest is kept (offsets from the PDU's first byte; PS3.7 section 9.3.1.1):

      0  04 00 length[4]                      P-DATA-TF
      6  length[4] context 03                 the value: a whole command set
     12  0000,0000  group length[4]           kept as ``_before``
     24  0000,0002  affected SOP class UID
         0000,0100  0001 (C-STORE-RQ)
         0000,0110  ..                        message ID
         0000,0700  0000 (medium priority)    kept as ``_between``
         0000,0800  0001 (a data set follows)
         0000,1000  header
         ..                                   affected SOP instance UID
      0  04 00 length[4]                      P-DATA-TF
      6  length[4] context 00 or 02           a fragment of the data set, 02 for the last one
     12  ..                                   bytes of the instance where they are, never copied

The first of these headers is joined to the command's PDU, so an instance that fits a PDU is two buffers to write.

Answers that say nothing but success (PS3.7 section 9.3.1.2) are as alike, whatever of it the peer leaves out. The first
one on an association goes through the decoder. One that has the same bytes, but for the message ID and the UID of the
instance that was sent, says the same; any other goes through the decoder again.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Self

from app.adapters.senders.dimse import command
from app.dicom.network import command_set
from app.dicom.network.fragments import DATA_HEADER, data_header, fragment, room
from app.dicom.network.pdu import IS_COMMAND, IS_LAST, Buffer

_MESSAGE_ID = Struct("<H")


class StoreForm:
    """C-STOREs of one association, presentation context and length of instance UIDs."""

    def __init__(self, context_id: int, max_pdu: int, sop_class_uid: str, uid_size: int) -> None:
        """``uid_size`` counts characters.

        Raises:
            PduError: the peer's limit leaves no room for data.
        """
        self._context_id = context_id
        self._max_pdu = max_pdu
        self._sop_class_uid = sop_class_uid
        self._padding = b"\0" * (uid_size % 2)
        self._answer: _AnswerForm | None = None
        sample = command.encode_store_request(0, sop_class_uid, "0" * uid_size)
        self._fits = len(sample) <= room(max_pdu)  # the command set in a PDU
        if self._fits:
            whole = data_header(context_id, IS_COMMAND | IS_LAST, len(sample)) + sample
            place = DATA_HEADER.size + command_set.value_positions(sample)[command_set.MESSAGE_ID]
            self._before = whole[:place]
            self._between = whole[place + _MESSAGE_ID.size : len(whole) - uid_size - len(self._padding)]

    def request(self, message_id: int, sop_instance_uid: str, data: bytes | memoryview) -> list[Buffer]:
        """The PDUs of a request, in buffers to be written one after the other."""
        parts = fragment(self._context_id, False, memoryview(data).cast("B"), self._max_pdu)
        if not self._fits:
            encoded = command.encode_store_request(message_id, self._sop_class_uid, sop_instance_uid)
            return fragment(self._context_id, True, encoded, self._max_pdu) + parts
        uid = sop_instance_uid.encode("ascii")
        pieces = (self._before, _MESSAGE_ID.pack(message_id), self._between, uid, self._padding, parts[0])
        parts[0] = b"".join(pieces)
        return parts

    def is_success(self, pdu: bytes, message_id: int, sop_instance_uid: str) -> bool:
        """Whether this is a success that was learned, of this very request. False may mean anything."""
        return self._answer is not None and pdu == self._answer.of(message_id, sop_instance_uid)

    def learn(self, pdu: bytes, response: command.StoreResponse, sop_instance_uid: str) -> None:
        """``response`` was decoded from this P-DATA-TF with one value, and answers for this instance."""
        if response.status == 0 and not response.comment:
            answer = _AnswerForm.learned(pdu, sop_instance_uid, self._padding)
            if answer is not None and answer.of(response.message_id, sop_instance_uid) == pdu:
                self._answer = answer


@dataclass(frozen=True, slots=True)
class _AnswerForm:
    """Before and after the message ID; what comes last may be the instance's UID."""

    before: bytes
    after: bytes
    ends_with_uid: bool
    padding: bytes

    @classmethod
    def learned(cls, pdu: bytes, uid: str, padding: bytes) -> Self | None:
        """From one answer; None where it has not this form."""
        positions = command_set.value_positions(pdu[DATA_HEADER.size :])
        place = DATA_HEADER.size + positions[command_set.MESSAGE_ID_BEING_RESPONDED_TO]
        before, after = pdu[:place], pdu[place + _MESSAGE_ID.size :]
        if command_set.AFFECTED_SOP_INSTANCE_UID not in positions:
            return cls(before, after, False, b"")
        last = uid.encode("ascii") + padding
        return cls(before, after.removesuffix(last), True, padding) if after.endswith(last) else None

    def of(self, message_id: int, uid: str) -> bytes:
        """The whole PDU that answers for this message and instance."""
        if not self.ends_with_uid:
            return b"%b%b%b" % (self.before, _MESSAGE_ID.pack(message_id), self.after)
        return b"%b%b%b%b%b" % (
            self.before,
            _MESSAGE_ID.pack(message_id),
            self.after,
            uid.encode("ascii"),
            self.padding,
        )
