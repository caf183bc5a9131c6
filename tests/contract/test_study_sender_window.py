"""The study sender where the archive grants an asynchronous operations window (PS3.7 annex D.3.3.3).

More than one C-STORE is under way on an association then; what is lost with it is sent once more, as ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from app.adapters.senders.dimse import DimseStudySender, TimeLimits
from app.dicom.network import pdu
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, PermanentError, TemporaryError
from app.domain.study import EncodedInstance, StoreResult
from tests.contract.instances import US_IMAGE_STORAGE, instance, study
from tests.contract.scripted_scp import Peer, Script, ScriptedScp, store_response

OURS = 16  # that the sender proposes
SHORT = TimeLimits(connect=30.0, dimse=0.6)
LONGEST_PAUSE = 0.2  # seconds in which a sender that may send has sent


@pytest.fixture
def sender() -> Iterator[DimseStudySender]:
    sender = DimseStudySender()
    yield sender
    sender.close()


def store(
    sender: DimseStudySender, scp: ScriptedScp, instances: Iterable[EncodedInstance], seconds: float = 60.0
) -> list[StoreResult]:
    destination = DicomDestination.model_validate(scp.address)
    return sender.store(destination, instances, time.monotonic() + seconds)


def granted(rest: Script, invoked: int = 4) -> Script:
    def script(peer: Peer) -> None:
        peer.accept(window=pdu.OperationsWindow(invoked, 1))
        rest(peer)

    return script


Request = tuple[int, int]  # context and message ID


def read(peer: Peer, count: int) -> list[Request]:
    """So many requests, none of which is answered."""
    return [peer.receive_store()[:2] for _ in range(count)]


def uids(instances: Iterable[EncodedInstance | StoreResult]) -> list[str]:
    return [one.sop_instance_uid for one in instances]


# --- How many at a time -----------------------------------------------------------------------------------------------


def test_a_window_is_proposed_in_which_only_we_invoke(sender: DimseStudySender) -> None:
    requests: list[pdu.AssociateRequest] = []

    def script(peer: Peer) -> None:
        requests.append(peer.accept())
        peer.store_all()

    with ScriptedScp(script) as scp:
        store(sender, scp, study())
    assert [request.window for request in requests] == [pdu.OperationsWindow(OURS, 1)]


@pytest.mark.parametrize(
    ("window", "at_once"),
    [
        (None, 1),
        (pdu.OperationsWindow(1, 1), 1),
        (pdu.OperationsWindow(3, 1), 3),
        (pdu.OperationsWindow(3, 0), 3),
        (pdu.OperationsWindow(0, 1), OURS),
        (pdu.OperationsWindow(OURS + 1, 1), OURS),
    ],
    ids=["nothing said", "one", "three", "performed is not ours", "no limit", "more than asked for"],
)
def test_as_many_are_under_way_as_were_granted_and_never_more(
    sender: DimseStudySender, window: pdu.OperationsWindow | None, at_once: int
) -> None:
    too_many: list[int] = []
    taken = answered = 0
    count = at_once + 5

    def script(peer: Peer) -> None:
        nonlocal answered
        peer.accept(window=window)
        waiting = read(peer, at_once)
        while True:
            if peer.has_more(LONGEST_PAUSE if answered == 0 else 0):
                too_many.append(answered)
            answered += 1
            peer.respond(*waiting.pop(0), 0)
            if answered + len(waiting) < count:
                waiting += read(peer, 1)
            elif not waiting:
                peer.store_all()

    def lazily() -> Iterator[EncodedInstance]:
        nonlocal taken
        for one in study(count=count):
            taken += 1
            assert taken - answered <= at_once  # what the study yields is not piled up either
            yield one

    with ScriptedScp(script) as scp:
        assert [result.outcome for result in store(sender, scp, lazily())] == ["stored"] * count
        assert scp.connections == 1
    assert too_many == []


def test_large_instances_do_not_fill_the_window(sender: DimseStudySender) -> None:
    """4 MiB under way are enough for any archive, and 16 large images at a time would be no little memory."""
    more: list[bool] = []

    def script(peer: Peer) -> None:
        waiting = read(peer, 2)
        more.append(peer.has_more(LONGEST_PAUSE))
        for request in waiting:
            peer.respond(*request, 0)
        peer.store_all()

    with ScriptedScp(granted(script)) as scp:
        store(sender, scp, study(count=3, size=3_000_000))
    assert more == [False]


# --- Answers ----------------------------------------------------------------------------------------------------------


def backwards(peer: Peer, requests: list[Request]) -> None:
    for context_id, message_id in reversed(requests):
        peer.respond(context_id, message_id, 0xB000 if message_id == 2 else 0)


def in_one_write(peer: Peer, requests: list[Request]) -> None:
    peer.send(*(store_response(*request, 0xB000 if request[1] == 2 else 0) for request in requests))


def in_one_pdu(peer: Peer, requests: list[Request]) -> None:
    answers = [store_response(*request, 0xB000 if request[1] == 2 else 0) for request in requests]
    peer.send(pdu.DataTransfer(tuple(value for answer in answers for value in answer.values)))


def cut_into_small_pdus(peer: Peer, requests: list[Request]) -> None:
    for context_id, message_id in requests:
        (value,) = store_response(context_id, message_id, 0xB000 if message_id == 2 else 0).values
        for place in range(len(value.data)):
            is_last = place == len(value.data) - 1
            peer.send(pdu.DataTransfer((pdu.DataValue(context_id, True, is_last, value.data[place : place + 1]),)))


@pytest.mark.parametrize("answer", [backwards, in_one_write, in_one_pdu, cut_into_small_pdus])
def test_answers_come_in_any_order_and_shape_and_results_in_that_of_the_study(
    sender: DimseStudySender, answer: Callable[[Peer, list[Request]], None]
) -> None:
    def script(peer: Peer) -> None:
        answer(peer, read(peer, 4))
        peer.store_all()

    sent = study(count=6)
    with ScriptedScp(granted(script)) as scp:
        results = store(sender, scp, sent)
        assert uids(results) == uids(sent) == scp.stored
        assert [result.outcome for result in results] == ["stored", "warning"] + ["stored"] * 4
        store(sender, scp, [instance(2)])
        assert scp.connections == 1


def test_each_answer_gives_the_next_its_time() -> None:
    """Four wait together three times as long as one may."""

    def script(peer: Peer) -> None:
        for request in read(peer, 4):
            time.sleep(0.75 * SHORT.dimse)
            peer.respond(*request, 0)
        peer.store_all()

    sender = DimseStudySender(time_limits=SHORT)
    with ScriptedScp(granted(script)) as scp:
        assert len(store(sender, scp, study(count=4))) == 4
        assert scp.connections == 1
        sender.close()


# --- Faults -----------------------------------------------------------------------------------------------------------


def lose(peer: Peer, requests: list[Request]) -> None:
    peer.reset()


def abort(peer: Peer, requests: list[Request]) -> None:
    peer.send(pdu.Abort())


def answer_a_message_that_was_never_sent(peer: Peer, requests: list[Request]) -> None:
    peer.respond(requests[0][0], 99, 0)
    peer.wait_for_end()


def answer_the_second_once_more(peer: Peer, requests: list[Request]) -> None:
    peer.respond(*requests[1], 0)
    peer.wait_for_end()


def say_no_more(peer: Peer, requests: list[Request]) -> None:
    peer.wait_for_end()


FAULTS = [
    pytest.param(lose, "connection lost|closed the connection", id="reset"),
    pytest.param(abort, "an abort by its user", id="aborted"),
    pytest.param(answer_a_message_that_was_never_sent, "an answer to message 99, not 1, 3, 4", id="unknown message"),
    pytest.param(answer_the_second_once_more, "an answer to message 2, not 1, 3, 4", id="answered twice"),
    pytest.param(say_no_more, "no answer to a C-STORE in time", id="silent"),
]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_what_a_lost_association_left_unanswered_is_sent_once_more_and_no_more_than_that(
    fault: Callable[[Peer, list[Request]], None], reason: str
) -> None:
    def script(peer: Peer) -> None:
        requests = read(peer, 4)
        peer.respond(*requests[1], 0)
        fault(peer, requests)

    def duplicates(peer: Peer) -> None:
        """It had stored all of them: none is there for anybody else's doing."""
        for request in read(peer, 3):
            peer.respond(*request, 0x0111)
        peer.store_all()

    sender = DimseStudySender(time_limits=SHORT)
    sent = study(count=6)
    with ScriptedScp(granted(script), granted(duplicates)) as scp:
        results = store(sender, scp, sent[:4])
        assert uids(results) == uids(sent[:4])
        assert [result.outcome for result in results] == ["stored"] * 4
        assert scp.stored == uids(sent[:4]) + uids([sent[0], *sent[2:4]])
        assert uids(store(sender, scp, sent[4:])) == uids(sent[4:])
        assert scp.connections == 2
        sender.close()


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_a_window_that_is_lost_twice_is_a_fault_that_says_so(
    fault: Callable[[Peer, list[Request]], None], reason: str
) -> None:
    def script(peer: Peer) -> None:
        requests = read(peer, 4)
        peer.respond(*requests[1], 0)
        fault(peer, requests)

    def lose_all(peer: Peer) -> None:
        read(peer, 3)
        peer.reset()

    sender = DimseStudySender(time_limits=SHORT)
    with ScriptedScp(granted(script), granted(lose_all)) as scp:
        with pytest.raises(OutcomeUnknown, match=f"({reason}).*the archive may have the instance"):
            store(sender, scp, study(count=4))
        assert scp.connections == 2
        sender.close()


def test_a_window_that_is_lost_goes_on_one_at_a_time_where_no_more_is_granted(sender: DimseStudySender) -> None:
    more: list[bool] = []

    def lose_all(peer: Peer) -> None:
        read(peer, 4)
        peer.reset()

    def one_at_a_time(peer: Peer) -> None:
        peer.accept()
        for _ in range(6):
            (request,) = read(peer, 1)
            more.append(peer.has_more(0.05))
            peer.respond(*request, 0)
        peer.store_all()

    sent = study(count=6)
    with ScriptedScp(granted(lose_all), one_at_a_time) as scp:
        assert uids(store(sender, scp, sent)) == uids(sent)
        assert scp.stored == uids(sent[:4]) + uids(sent)
    assert more == [False] * 6


def test_an_answer_that_nobody_waits_for_ends_the_association(sender: DimseStudySender) -> None:
    """It came with the last one of the study: the next study's must not be mistaken for it."""

    def script(peer: Peer) -> None:
        first, last = read(peer, 2)
        peer.send(store_response(*first, 0), store_response(*last, 0), store_response(*last, 0xA700))
        peer.wait_for_end()

    with ScriptedScp(granted(script), granted(Peer.store_all)) as scp:
        store(sender, scp, study(count=2))
        (result,) = store(sender, scp, [instance(2)])
        assert (result.outcome, scp.connections) == ("stored", 2)


def test_one_that_is_told_to_stop_sends_nothing_again(sender: DimseStudySender) -> None:
    def lose_all(peer: Peer) -> None:
        read(peer, 4)
        peer.reset()

    with ScriptedScp(granted(lose_all), granted(Peer.store_all)) as scp:
        destination = DicomDestination.model_validate(scp.address)
        with pytest.raises(OutcomeUnknown):
            sender.store(destination, study(count=4), time.monotonic() + 60, lambda: True)
        assert scp.connections == 1


@pytest.mark.parametrize(("answers", "error"), [(0, OutcomeUnknown), (2, TemporaryError)])
def test_a_deadline_in_the_middle_of_a_window(
    sender: DimseStudySender, answers: int, error: type[TemporaryError]
) -> None:
    def script(peer: Peer) -> None:
        for request in read(peer, 4)[:answers]:
            peer.respond(*request, 0)
        peer.wait_for_end()

    with ScriptedScp(granted(script)) as scp:
        with pytest.raises(error) as raised:
            store(sender, scp, study(count=4), seconds=1.0)
        assert type(raised.value) is error
        assert scp.connections == 1


# --- Studies that end in another way ----------------------------------------------------------------------------------


def test_a_study_whose_instances_fail_to_come_leaves_its_association_in_good_order(sender: DimseStudySender) -> None:
    def broken() -> Iterator[EncodedInstance]:
        yield from study(count=2)
        raise OSError("disk")

    def script(peer: Peer) -> None:
        for request in reversed(read(peer, 2)):
            peer.respond(*request, 0)
        peer.store_all()

    with ScriptedScp(granted(script)) as scp:
        with pytest.raises(OSError, match="disk"):
            store(sender, scp, broken())
        store(sender, scp, study(2))
        assert scp.connections == 1


def refuse_ultrasound(rest: Script) -> Script:
    def script(peer: Peer) -> None:
        request = peer.receive()
        assert isinstance(request, pdu.AssociateRequest)
        contexts = tuple(
            pdu.ContextResult(one.id, 3 if one.abstract_syntax == US_IMAGE_STORAGE else 0, one.transfer_syntaxes[0])
            for one in request.contexts
        )
        peer.send(pdu.AssociateAccept("A", "B", contexts, 16384, window=pdu.OperationsWindow(4, 1)))
        rest(peer)

    return script


def test_an_instance_that_the_archive_never_takes_leaves_those_before_it_answered(sender: DimseStudySender) -> None:
    sent = [instance(1, 1), instance(1, 2), instance(1, 3, sop_class=US_IMAGE_STORAGE)]
    with ScriptedScp(refuse_ultrasound(Peer.store_all)) as scp:
        with pytest.raises(PermanentError, match="Ultrasound"):
            store(sender, scp, sent)
        store(sender, scp, study(2, 1))
        assert scp.stored == [*uids(sent[:2]), instance(2, 1).sop_instance_uid]


def test_an_instance_of_another_kind_waits_for_the_answers_on_the_association_without_it(
    sender: DimseStudySender,
) -> None:
    more: list[bool] = []

    def without(peer: Peer) -> None:
        requests = read(peer, 2)
        more.append(peer.has_more(LONGEST_PAUSE))
        for request in requests:
            peer.respond(*request, 0)
        peer.store_all()

    sent = [instance(1, 1), instance(1, 2), instance(1, 3, sop_class=US_IMAGE_STORAGE)]
    with ScriptedScp(granted(without), granted(Peer.store_all)) as scp:
        assert uids(store(sender, scp, sent)) == uids(sent)
        assert (scp.connections, more) == (2, [False])
