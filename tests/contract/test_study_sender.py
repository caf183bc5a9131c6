"""The study sender against real archives: dcmtk's storescp, pynetdicom, our receiver and Orthanc.

What does not depend on associations that are kept is asked of a sender on pynetdicom as well.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom.dataset import Dataset

from app.adapters.senders.dimse import DimseStudySender, PoolLimits
from app.domain.destination import DicomDestination
from app.domain.errors import OutcomeUnknown, PermanentError, TransportFault
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EncodedInstance, StoreOutcome
from app.ports import StudySender
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import DicomReceiver
from tests.contract.instances import CT_IMAGE_STORAGE, US_IMAGE_STORAGE, instance, study
from tests.contract.reference_scp import ReferenceScp
from tests.contract.reference_sender import ReferenceSender
from tests.services.dcmtk import Storescp, run_dcmtk
from tests.services.orthanc import Orthanc
from tests.services.processes import free_port

CT, US = CT_IMAGE_STORAGE, US_IMAGE_STORAGE


def in_seconds(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


def destination(address: str, **settings: Any) -> DicomDestination:
    return DicomDestination.model_validate(DicomDestination.model_validate(address).model_dump() | settings)


@pytest.fixture
def sender() -> Iterator[DimseStudySender]:
    sender = DimseStudySender()
    yield sender
    sender.close()


@pytest.fixture(params=[DimseStudySender, ReferenceSender], ids=["ours", "pynetdicom"])
def sender_class(request: pytest.FixtureRequest) -> type[DimseStudySender] | type[ReferenceSender]:
    kind: type[DimseStudySender] | type[ReferenceSender] = request.param
    return kind


@pytest.fixture
def any_sender(sender_class: type[DimseStudySender] | type[ReferenceSender]) -> Iterator[StudySender]:
    sender = sender_class()
    yield sender
    sender.close()


# --- dcmtk ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--fork",), ("--max-pdu", "4096")], ids=" ".join)
def test_storescp_gets_every_byte(any_sender: StudySender, tmp_path: Path, options: tuple[str, ...]) -> None:
    sent = [instance(1, 1), instance(1, 2, size=100_000), instance(1, 3, size=3_000_000)]
    with Storescp(tmp_path, *options) as scp:
        results = any_sender.store(destination(scp.address), iter(sent), in_seconds())
        any_sender.close()

    assert [(result.sop_instance_uid, result.status, result.outcome) for result in results] == [
        (one.sop_instance_uid, 0, "stored") for one in sent
    ]
    assert [result.size for result in results] == [len(one.data) for one in sent]
    assert all(0 < result.seconds < 30 for result in results)
    assert scp.received_data() == {one.sop_instance_uid: bytes(one.data) for one in sent}


def store_until_all_had_a_turn(address: str) -> None:
    """Three threads store without a pause, so an association is never idle long enough to be released."""
    sender = DimseStudySender(pool_limits=PoolLimits(studies=10**9, age=10**9, patience=0.2, counted=20.0))
    to = destination(address, associations=3)
    deadline = in_seconds(20)
    stored = [0, 0, 0]

    def work(thread: int) -> None:
        while not all(stored):
            stored[thread] += len(sender.store(to, study(thread + 1), deadline))

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))
    sender.close()


def test_threads_share_the_one_association_of_a_stock_storescp(tmp_path: Path) -> None:
    with Storescp(tmp_path) as scp:
        store_until_all_had_a_turn(scp.address)
    assert {ds.PatientID for ds in scp.received().values()} == {"P1", "P2", "P3"}


def test_threads_use_parallel_associations_where_the_peer_has_them(sender: DimseStudySender) -> None:
    together = threading.Barrier(3)

    def answer(event: Any) -> int:
        together.wait(10)  # needs three C-STOREs at the same time
        return 0

    with ReferenceScp(answer) as scp, ThreadPoolExecutor(3) as threads:
        to = destination(scp.address, associations=3)
        stored = list(threads.map(lambda order: sender.store(to, study(order, 1), in_seconds()), range(6)))
        assert [results[0].outcome for results in stored] == ["stored"] * 6
        assert scp.accepted == 3


def test_an_idle_association_is_released_though_nobody_calls(sender: DimseStudySender, tmp_path: Path) -> None:
    with Storescp(tmp_path, "-v") as scp:
        sender.store(destination(scp.address), study(), in_seconds())
        assert run_dcmtk("echoscu", "--acse-timeout", "5", "127.0.0.1", str(scp.port)).returncode == 0
        scp.wait_for_line("Association Release")


def test_two_processes_take_turns_at_a_stock_storescp(tmp_path: Path) -> None:
    limits = PoolLimits(studies=5)
    with Storescp(tmp_path) as scp, ThreadPoolExecutor(2) as processes:
        to = destination(scp.address, associations=1)

        def work(first: int) -> int:
            sender = DimseStudySender(pool_limits=limits)
            stored = sum(len(sender.store(to, study(first + order, 1), in_seconds())) for order in range(15))
            sender.close()
            return stored

        assert list(processes.map(work, (100, 200))) == [15, 15]
    assert len(scp.received()) == 30


# --- pynetdicom as the reference --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(0xB000, "warning"), (0x0111, "already_there"), (0xA700, "out_of_resources"), (0xA900, "refused"),
     (0xC000, "failed")],
)  # fmt: skip
def test_every_answer_is_a_result(any_sender: StudySender, status: int, outcome: StoreOutcome) -> None:
    bad = instance(1, 2)

    def answer(event: Any) -> Dataset:
        ds = Dataset()
        ds.Status = status if event.request.AffectedSOPInstanceUID == bad.sop_instance_uid else 0
        ds.ErrorComment = "because" if ds.Status else ""
        return ds

    with ReferenceScp(answer) as scp:
        results = any_sender.store(destination(scp.address), [instance(1, 1), bad, instance(1, 3)], in_seconds())

    assert [(result.status, result.outcome, result.comment) for result in results] == [
        (0, "stored", ""),
        (status, outcome, "because"),
        (0, "stored", ""),
    ]


def test_a_reused_association_serves_many_studies_and_ends_in_good_order(sender: DimseStudySender) -> None:
    with ReferenceScp() as scp:
        for order in range(5):
            sender.store(destination(scp.address), study(order), in_seconds())
        scp.wait_until_ended(1)
        assert (scp.accepted, scp.ended) == (1, ["EVT_RELEASED"])


def test_per_study_means_an_association_for_each_study(sender: DimseStudySender) -> None:
    with ReferenceScp() as scp:
        for order in range(3):
            sender.store(destination(scp.address, association="per_study"), study(order), in_seconds())
        scp.wait_until_ended(3)
        assert (scp.accepted, scp.ended) == (3, ["EVT_RELEASED"] * 3)


@pytest.mark.parametrize(
    "limits",
    [PoolLimits(studies=2), PoolLimits(age=0.0), PoolLimits(idle=0.0)],
    ids=["two studies", "no age", "no idling"],
)
def test_a_reused_association_ends_at_its_limits(limits: PoolLimits) -> None:
    sender = DimseStudySender(pool_limits=limits)
    with ReferenceScp() as scp:
        for order in range(4):
            sender.store(destination(scp.address), study(order), in_seconds())
            if not limits.idle:
                scp.wait_until_ended(order + 1)
        sender.close()
        scp.wait_until_ended(2)
        assert scp.accepted == (2 if limits.studies == 2 else 4)
        assert set(scp.ended) == {"EVT_RELEASED"}


def test_there_are_never_more_associations_than_the_destination_allows(sender: DimseStudySender) -> None:
    with ReferenceScp() as scp, ThreadPoolExecutor(6) as threads:
        to = destination(scp.address, associations=2)
        stored = list(threads.map(lambda order: sender.store(to, study(order, 1), in_seconds()), range(24)))
        assert len(stored) == 24
        assert scp.most_at_once <= 2


def test_threads_share_the_one_association_of_a_peer_that_rejects_more() -> None:
    with ReferenceScp(maximum=1) as scp:
        store_until_all_had_a_turn(scp.address)
        assert scp.most_at_once == 1


def test_an_instance_of_another_kind_gets_an_association_that_knows_it(sender: DimseStudySender) -> None:
    pairs = ((CT, EXPLICIT_VR_LITTLE_ENDIAN), (CT, IMPLICIT_VR_LITTLE_ENDIAN), (US, EXPLICIT_VR_LITTLE_ENDIAN))
    sent = [instance(1, 1), instance(1, 2, sop_class=US), instance(1, 3, transfer_syntax=IMPLICIT_VR_LITTLE_ENDIAN)]

    with ReferenceScp(contexts=pairs) as scp:
        sender.store(destination(scp.address), sent, in_seconds())
        assert scp.accepted == 2  # the default transfer syntax of CT was negotiated from the start


@pytest.mark.parametrize(
    ("accepted", "reason"),
    [
        (US, "CT Image Storage.*: abstract syntax not supported"),
        (CT, r"CT Image Storage.*: transfer syntax\(?es\)? not supported"),
    ],
)
def test_an_archive_that_never_takes_the_kind_is_a_permanent_error(
    any_sender: StudySender, accepted: str, reason: str
) -> None:
    with (
        ReferenceScp(contexts=((accepted, IMPLICIT_VR_LITTLE_ENDIAN), (US, EXPLICIT_VR_LITTLE_ENDIAN))) as scp,
        pytest.raises(PermanentError, match=f"(?i){reason}"),
    ):
        any_sender.store(destination(scp.address), study(), in_seconds())


def test_the_wrong_called_ae_title_is_a_fault_of_the_configuration(any_sender: StudySender) -> None:
    with ReferenceScp(check_called_aet=True) as scp:
        wrong = destination(scp.address, aet="OTHER")
        with pytest.raises(TransportFault, match="association rejected") as raised:
            any_sender.store(wrong, study(), in_seconds())
        assert raised.value.misconfigured


def test_each_instance_goes_in_its_own_context(any_sender: StudySender) -> None:
    pairs = ((CT, EXPLICIT_VR_LITTLE_ENDIAN), (CT, IMPLICIT_VR_LITTLE_ENDIAN), (US, EXPLICIT_VR_LITTLE_ENDIAN))
    sent = [instance(1, number, sop_class=kind, transfer_syntax=syntax) for number, (kind, syntax) in enumerate(pairs)]
    received: list[tuple[str, str, str]] = []

    def answer(event: Any) -> int:
        received.append(
            (event.request.AffectedSOPClassUID, event.dataset.SOPInstanceUID, event.context.transfer_syntax)
        )
        return 0

    with ReferenceScp(answer, pairs) as scp:
        any_sender.store(destination(scp.address), sent, in_seconds())
    assert received == [(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax_uid) for one in sent]


def test_nobody_listening_is_a_fault_and_no_doubt_about_the_instance(any_sender: StudySender) -> None:
    nobody = destination(f"NOBODY@127.0.0.1:{free_port()}")
    with pytest.raises(TransportFault) as raised:
        any_sender.store(nobody, study(), in_seconds())
    assert not isinstance(raised.value, OutcomeUnknown) and not raised.value.misconfigured


def test_instances_are_taken_one_at_a_time(any_sender: StudySender) -> None:
    answered: list[str] = []

    def answer(event: Any) -> int:
        answered.append(event.request.AffectedSOPInstanceUID)
        return 0

    def lazily() -> Iterator[EncodedInstance]:
        for number in range(1, 4):
            assert len(answered) == number - 1
            yield instance(1, number)

    with ReferenceScp(answer) as scp:
        assert len(any_sender.store(destination(scp.address), lazily(), in_seconds())) == 3


def test_a_study_whose_instances_fail_to_come_leaves_the_association_to_the_next(sender: DimseStudySender) -> None:
    def broken() -> Iterator[EncodedInstance]:
        yield instance(1, 1)
        raise OSError("disk")

    with ReferenceScp() as scp:
        with pytest.raises(OSError, match="disk"):
            sender.store(destination(scp.address), broken(), in_seconds())
        sender.store(destination(scp.address), study(2), in_seconds())
        assert scp.accepted == 1


# --- Our receiver, Orthanc --------------------------------------------------------------------------------------------


def test_our_receiver_has_what_was_sent(any_sender: StudySender) -> None:
    receiver = DicomReceiver(DicomReceiverOptions(port=0))
    receiver.start()
    try:
        any_sender.store(destination(f"YEETER@127.0.0.1:{receiver.port}"), study(1, 4), in_seconds())
        (entry,) = receiver.ledger.entries()
        assert (entry.study.patient.id, len(entry.instances), entry.repeats) == ("P1", 4, 0)
    finally:
        receiver.close()


def test_orthanc_has_what_was_sent(any_sender: StudySender, orthanc: Orthanc) -> None:
    sent = [instance(1, number, run_key="0RTHANC1") for number in range(1, 4)]
    results = any_sender.store(destination(orthanc.address), sent, in_seconds())
    assert [result.outcome for result in results] == ["stored"] * 3
    held = {str(orthanc.get(f"instances/{key}/simplified-tags")["SOPInstanceUID"]) for key in orthanc.get("instances")}
    assert {one.sop_instance_uid for one in sent} <= held


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "server.pem"
    authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_tls_to_our_receiver(certificate: Path, trusting: ssl.SSLContext) -> None:
    receiver = DicomReceiver(DicomReceiverOptions(port=0, tls_cert_file=certificate))
    receiver.start()
    sender = DimseStudySender(trusting)
    try:
        to = destination(f"YEETER@127.0.0.1:{receiver.port}", tls=True)
        for _ in range(2):  # the second one on the association of the first
            results = sender.store(to, [instance(1, 1, size=1_000_000), instance(1, 2)], in_seconds())
            assert [result.outcome for result in results] == ["stored"] * 2
        sender.close()
        (entry,) = receiver.ledger.entries()
        assert (len(entry.instances), entry.repeats) == (2, 2)
    finally:
        receiver.close()


def test_tls_to_storescp(
    sender_class: type[DimseStudySender] | type[ReferenceSender],
    certificate: Path,
    trusting: ssl.SSLContext,
    tmp_path: Path,
) -> None:
    options = ("--enable-tls", certificate, certificate, "--ignore-peer-cert")
    with Storescp(tmp_path, *options) as scp:
        sender = sender_class(trusting)
        sender.store(destination(scp.address, tls=True), [instance(1, 1, size=1_000_000)], in_seconds())
        sender.close()
    assert len(scp.received()) == 1


@pytest.mark.parametrize(
    ("context", "reason"),
    [(ssl.create_default_context, "TLS certificate is not trusted"), (lambda: None, "set YEETER_TLS_CA_FILE")],
    ids=["unknown authority", "no context"],
)
def test_tls_without_trust_is_a_fault_of_the_configuration(
    certificate: Path, context: Callable[[], ssl.SSLContext | None], reason: str
) -> None:
    receiver = DicomReceiver(DicomReceiverOptions(port=0, tls_cert_file=certificate))
    receiver.start()
    try:
        sender = DimseStudySender(context())
        with pytest.raises(TransportFault, match=reason) as raised:
            sender.store(destination(f"YEETER@127.0.0.1:{receiver.port}", tls=True), study(), in_seconds())
        assert raised.value.misconfigured
    finally:
        receiver.close()
