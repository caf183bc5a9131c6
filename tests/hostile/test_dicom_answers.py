"""Archives that answer a query, but against the rules."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import pytest

from app.adapters.archive.dicom_query import DicomArchiveQuery
from app.adapters.upper_layer import TimeLimits
from app.dicom.network import command_set, pdu
from app.dicom.network.identifiers import encode_identifier
from app.domain.destination import DicomDestination
from app.domain.errors import NotAnswerable, Unavailable
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from tests.contract.instances import RUN_KEY
from tests.contract.scripted_scp import Peer, Script, ScriptedScp

SHORT = TimeLimits(connect=30.0, dimse=0.4)
PENDING, SUCCESS = 0xFF00, 0x0000
STUDY = encode_identifier({"AccessionNumber": RUN_KEY + "00001"}, EXPLICIT_VR_LITTLE_ENDIAN)


def studies(scp: ScriptedScp, limits: TimeLimits | None = None) -> list[str]:
    query = DicomArchiveQuery(limits=limits)
    return [study.accession for study in query.studies(DicomDestination.model_validate(scp.address), RUN_KEY, 1)]


def receive_query(peer: Peer) -> int:
    """Read a whole request; its message ID. Answers a release request and ends there."""
    request = bytearray()
    while True:
        received = peer.receive()
        if isinstance(received, pdu.ReleaseRequest):
            peer.send(pdu.ReleaseResponse())
        if not isinstance(received, pdu.DataTransfer):
            raise EOFError
        for value in received.values:
            request += value.data if value.is_command else b""
            if value.is_last and not value.is_command:
                elements = command_set.decode_command_set(request)
                return command_set.number(elements, command_set.MESSAGE_ID)


def answer(
    message_id: int,
    status: int,
    identifier: bytes | None = None,
    command: int = command_set.C_FIND_RQ | command_set.IS_RESPONSE,
) -> list[pdu.DataValue]:
    elements: dict[int, int | bytes] = {
        command_set.COMMAND_FIELD: command,
        command_set.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
        command_set.DATA_SET_TYPE: command_set.NO_DATA_SET if identifier is None else command_set.HAS_DATA_SET,
        command_set.STATUS: status,
    }
    values = [pdu.DataValue(1, True, True, command_set.encode_command_set(elements))]
    return values if identifier is None else [*values, pdu.DataValue(1, False, True, identifier)]


def answers(*given: Callable[[int], list[pdu.DataValue]]) -> Script:
    """The script of an archive that answers each query with these, each of them in a PDU of its own."""

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            message_id = receive_query(peer)
            for one in given:
                peer.send(pdu.DataTransfer(tuple(one(message_id))))

    return script


def accept_in(transfer_syntax: str) -> Script:
    def script(peer: Peer) -> None:
        request = peer.receive()
        assert isinstance(request, pdu.AssociateRequest)
        peer.send(pdu.AssociateAccept("A", "B", (pdu.ContextResult(1, 0, transfer_syntax),), 0))
        message_id = receive_query(peer)
        study = encode_identifier({"AccessionNumber": RUN_KEY + "00001"}, transfer_syntax)
        peer.send(pdu.DataTransfer(tuple(answer(message_id, PENDING, study) + answer(message_id, SUCCESS))))
        receive_query(peer)

    return script


def study(message_id: int) -> list[pdu.DataValue]:
    return answer(message_id, PENDING, STUDY)


def end(message_id: int) -> list[pdu.DataValue]:
    return answer(message_id, SUCCESS)


# --- What is unusual, and right ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_answers_come_in_the_syntax_that_the_archive_chose(transfer_syntax: str) -> None:
    with ScriptedScp(accept_in(transfer_syntax)) as scp:
        assert studies(scp) == [RUN_KEY + "00001"]


def test_many_answers_in_a_pdu_are_many_answers() -> None:
    with ScriptedScp(answers(lambda message_id: [*study(message_id) * 3, *end(message_id)])) as scp:
        assert studies(scp) == [RUN_KEY + "00001"] * 3


def test_an_answer_may_come_a_byte_a_pdu() -> None:
    def in_bytes(peer: Peer) -> None:
        peer.accept()
        message_id = receive_query(peer)
        for value in [*study(message_id), *end(message_id)]:
            for index, byte in enumerate(value.data):
                is_last = index == len(value.data) - 1
                peer.send(pdu.DataTransfer((pdu.DataValue(1, value.is_command, is_last, bytes((byte,))),)))
        receive_query(peer)

    with ScriptedScp(in_bytes) as scp:
        assert studies(scp) == [RUN_KEY + "00001"]


def test_optional_keys_that_an_archive_did_not_match_make_no_difference() -> None:
    with ScriptedScp(answers(lambda message_id: answer(message_id, 0xFF01, STUDY), end)) as scp:
        assert studies(scp) == [RUN_KEY + "00001"]


# --- What is wrong ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer_syntax", ["1.2.840.10008.1.2.2", "1.2.840.10008.1.2.99", ""])
def test_a_syntax_that_nobody_proposed_is_no_offer(transfer_syntax: str) -> None:
    with ScriptedScp(accept_in(transfer_syntax)) as scp, pytest.raises(NotAnswerable, match="does not offer query"):
        studies(scp)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(lambda message_id: end(message_id + 1), "an answer to message 2, not 1", id="another message"),
        pytest.param(
            lambda message_id: answer(message_id, SUCCESS, command=command_set.C_STORE_RSP),
            "a message 0x8001 in place of an answer",
            id="another operation",
        ),
        pytest.param(
            lambda message_id: answer(message_id, SUCCESS, command=command_set.C_FIND_RQ),
            "a message 0x0020 in place of an answer",
            id="a request",
        ),
        pytest.param(
            lambda message_id: [pdu.DataValue(3, True, True, end(message_id)[0].data)],
            "presentation context 3, which is none",
            id="another context",
        ),
        pytest.param(
            lambda message_id: [pdu.DataValue(1, False, True, STUDY)],
            "a data set before its command set",
            id="no command",
        ),
        pytest.param(
            lambda message_id: [pdu.DataValue(1, True, True, end(message_id)[0].data[:-10])],
            r"0 bytes in \(0000,0900\)",
            id="no status",
        ),
        pytest.param(
            lambda message_id: [study(message_id)[0], pdu.DataValue(1, False, False, STUDY[:4])],
            "nothing whole came in time",
            id="half an answer",
        ),
    ],
)
def test_an_answer_that_is_none_is_asked_for_once_more(
    given: Callable[[int], list[pdu.DataValue]], reason: str
) -> None:
    with ScriptedScp(answers(given), answers(study, end)) as scp:
        assert studies(scp, SHORT) == [RUN_KEY + "00001"]
    with ScriptedScp(answers(given)) as scp, pytest.raises(Unavailable, match=f"did not answer a C-FIND: .*{reason}"):
        studies(scp, SHORT)


def test_an_answer_without_end_is_given_up() -> None:
    def without_end(peer: Peer) -> None:
        peer.accept()
        message_id = receive_query(peer)
        peer.send(pdu.DataTransfer((study(message_id)[0],)))
        more = pdu.DataTransfer((pdu.DataValue(1, False, False, bytes(1 << 14)),))
        while True:
            peer.send(more)

    with ScriptedScp(without_end) as scp, pytest.raises(Unavailable, match="a message of more than 1048576 bytes"):
        studies(scp)


def test_an_answer_that_makes_no_progress_is_given_up_in_time() -> None:
    def empty_fragments(peer: Peer) -> None:
        peer.accept()
        message_id = receive_query(peer)
        peer.send(pdu.DataTransfer((study(message_id)[0],)))
        empty = pdu.DataTransfer((pdu.DataValue(1, False, False, b""),)).encode() * 100
        while True:
            peer.socket.sendall(empty)

    with ScriptedScp(empty_fragments) as scp, pytest.raises(Unavailable, match="nothing whole came in time"):
        studies(scp, SHORT)


def test_a_pending_answer_without_a_study_is_unavailable() -> None:
    script = answers(lambda message_id: answer(message_id, PENDING), end)
    with ScriptedScp(script) as scp, pytest.raises(Unavailable, match="with 0xFF00"):
        studies(scp)


@pytest.mark.parametrize(
    "identifier",
    [
        pytest.param(STUDY.replace(b"SH", b"ZZ"), id="a VR that does not exist"),
        pytest.param(STUDY + b"\x20\0\x08\x12US\1\0x", id="half a number"),
    ],
)
def test_a_study_that_can_not_be_read_is_unavailable(identifier: bytes) -> None:
    script = answers(lambda message_id: answer(message_id, PENDING, identifier), end)
    with (
        ScriptedScp(script) as scp,
        pytest.raises(Unavailable, match="identifier that can't be read"),
    ):
        studies(scp)


def test_a_failure_says_why() -> None:
    def refuse(message_id: int) -> list[pdu.DataValue]:
        (value,) = answer(message_id, 0xA700)
        comment = b"the index is\0 being rebuilt " + b"." * 1000
        encoded = value.data + b"\0\0\2\x09" + len(comment).to_bytes(4, "little") + comment
        return [pdu.DataValue(1, True, True, encoded)]

    with (
        ScriptedScp(answers(refuse)) as scp,
        pytest.raises(Unavailable, match=r"with 0xA700 \(the index is  being rebuilt \.{36}\)"),
    ):
        studies(scp)


# --- How it ends ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "last"),
    [
        pytest.param([study, end], pdu.ReleaseRequest, id="answered"),
        pytest.param([study, lambda message_id: answer(message_id, 0xA700)], pdu.ReleaseRequest, id="refused"),
        pytest.param([study, lambda message_id: answer(message_id, PENDING)], pdu.Abort, id="in the middle"),
    ],
)
def test_an_association_is_released_or_where_answers_are_missing_aborted(
    given: list[Callable[[int], list[pdu.DataValue]]], last: type[pdu.Pdu]
) -> None:
    ends: list[pdu.Pdu] = []
    over = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        message_id = receive_query(peer)
        for one in given:
            peer.send(pdu.DataTransfer(tuple(one(message_id))))
        ends.append(peer.receive())
        over.set()
        peer.send(pdu.ReleaseResponse())

    with ScriptedScp(script) as scp:
        with contextlib.suppress(Unavailable):
            studies(scp)
        assert over.wait(10)
    assert [type(one) for one in ends] == [last]


def test_an_archive_that_wants_to_end_the_association_is_let_go_and_asked_on_another() -> None:
    released = []

    def leave(peer: Peer) -> None:
        peer.accept()
        receive_query(peer)
        peer.send(pdu.ReleaseRequest())
        released.append(peer.receive())

    with ScriptedScp(leave, answers(study, end)) as scp:
        assert studies(scp) == [RUN_KEY + "00001"]
    assert released == [pdu.ReleaseResponse()]


def test_a_peer_that_takes_no_data_is_unavailable() -> None:
    def script(peer: Peer) -> None:
        peer.accept(max_pdu=6)
        peer.wait_for_end()

    with ScriptedScp(script) as scp, pytest.raises(Unavailable, match="leaves no room for data"):
        studies(scp)
