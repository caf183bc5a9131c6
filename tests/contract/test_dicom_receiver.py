"""The DICOM receiver with dcmtk's clients as its peers: what it keeps, what it answers, how it lies."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID
from pynetdicom.dsutils import create_file_meta, encode_file_meta

from app.adapters.senders.dimse import DimseStudySender
from app.domain.destination import DicomDestination
from app.domain.errors import TransportFault, Unavailable
from app.domain.study import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EncodedInstance
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import DicomReceiver
from tests.contract.instances import instance, study
from tests.services.dcmtk import run_dcmtk

Receive = Callable[..., DicomReceiver]

# An element as dcmtk shows it:  I: (0010,0020) LO [P1]      #   2, 1 PatientID
_ELEMENT = re.compile(r"\[(.*?) ?\] .* (\w+)$", re.MULTILINE)


@pytest.fixture
def receive() -> Iterator[Receive]:
    """Start a receiver with these options; it is closed at the end."""
    started: list[DicomReceiver] = []

    def start(**options: object) -> DicomReceiver:
        receiver = DicomReceiver(DicomReceiverOptions(port=0, **options))  # type: ignore[arg-type]
        receiver.start()
        started.append(receiver)
        return receiver

    yield start
    for receiver in started:
        receiver.close()


def send(receiver: DicomReceiver, *instances: EncodedInstance, aet: str = "ANY") -> list[int]:
    """Store with our own sender; the statuses."""
    sender = DimseStudySender()
    destination = DicomDestination(aet=aet, host="127.0.0.1", port=receiver.port)
    try:
        return [result.status for result in sender.store(destination, instances, time.monotonic() + 30)]
    finally:
        sender.close()


def kept(receiver: DicomReceiver) -> list[tuple[str, str, int, int]]:
    """Accession number, patient, instances and repeats of each study in the ledger."""
    return [
        (entry.study.accession[-5:], entry.study.patient.id, len(entry.instances), entry.repeats)
        for entry in receiver.ledger.entries()
    ]


def write_part10(path: Path, one: EncodedInstance) -> Path:
    meta = create_file_meta(
        sop_class_uid=UID(one.sop_class_uid),
        sop_instance_uid=UID(one.sop_instance_uid),
        transfer_syntax=UID(one.transfer_syntax_uid),
    )
    path.write_bytes(bytes(128) + b"DICM" + encode_file_meta(meta) + one.data)
    return path


def findscu(receiver: DicomReceiver, *keys: str, model: str = "--study") -> tuple[int, list[dict[str, str]]]:
    """Exit code, and the answers by attribute name."""
    arguments = [argument for key in ("QueryRetrieveLevel=STUDY", *keys) for argument in ("-k", key)]
    run = run_dcmtk("findscu", model, *arguments, "127.0.0.1", str(receiver.port))
    blocks = run.stdout.split("Find Response")[1:]
    return run.returncode, [{name: value for value, name in _ELEMENT.findall(block)} for block in blocks]


# --- dcmtk's clients --------------------------------------------------------------------------------------------------


def test_echoscu_is_answered(receive: Receive) -> None:
    assert run_dcmtk("echoscu", "127.0.0.1", str(receive().port)).returncode == 0


@pytest.mark.parametrize("transfer_syntax", [EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN])
def test_storescu_stores(receive: Receive, tmp_path: Path, transfer_syntax: str) -> None:
    receiver = receive()
    files = [
        write_part10(tmp_path / f"{number}.dcm", instance(1, number, transfer_syntax=transfer_syntax))
        for number in range(1, 4)
    ]
    proposing = "--propose-implicit" if transfer_syntax == IMPLICIT_VR_LITTLE_ENDIAN else "--propose-little"
    for _ in range(2):
        run = run_dcmtk("storescu", proposing, "127.0.0.1", str(receiver.port), *files)
        assert run.returncode == 0, run.stdout
    assert kept(receiver) == [("00001", "P1", 3, 3)]


@pytest.mark.parametrize("model", ["--study", "--patient"])
def test_findscu_finds(receive: Receive, model: str) -> None:
    receiver = receive(aet="ARCHIVE")
    send(receiver, *study(1, 3), *study(2, 1))
    keys = ("AccessionNumber=7K3QX0AB*", "PatientName", "PatientID", "StudyInstanceUID")
    code, answers = findscu(receiver, *keys, "NumberOfStudyRelatedInstances", model=model)
    assert code == 0
    assert [
        (answer["AccessionNumber"], answer["PatientName"], answer["NumberOfStudyRelatedInstances"])
        for answer in answers
    ] == [("7K3QX0AB00001", "DOE^JANE 1", "3"), ("7K3QX0AB00002", "DOE^JANE 2", "1")]
    assert {answer["RetrieveAETitle"] for answer in answers} == {"ARCHIVE"}


def test_findscu_finds_nothing_where_nothing_matches(receive: Receive) -> None:
    receiver = receive()
    send(receiver, *study(1))
    assert findscu(receiver, "AccessionNumber=OTHER*") == (0, [])


def test_other_levels_than_study_are_refused(receive: Receive) -> None:
    keys = ("-k", "QueryRetrieveLevel=SERIES", "-k", "StudyInstanceUID=1.2.3")
    run = run_dcmtk("findscu", "-v", "--study", *keys, "127.0.0.1", str(receive().port))
    assert "Error: DataSetDoesNotMatchSOPClass" in run.stdout  # dcmtk's name of 0xA900


# --- The ledger -------------------------------------------------------------------------------------------------------


def test_an_instance_that_comes_again_is_counted_once(receive: Receive) -> None:
    receiver = receive()
    assert send(receiver, *study(1, 3), *study(1, 3), instance(2)) == [0] * 7
    assert kept(receiver) == [("00001", "P1", 3, 3), ("00002", "P2", 1, 0)]


def test_what_is_no_data_set_is_answered_with_a_failure(receive: Receive) -> None:
    receiver = receive()
    one = instance()
    garbage = EncodedInstance(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax_uid, b"no data set, ever")
    assert send(receiver, garbage, one) == [0xC000, 0]
    assert kept(receiver) == [("00001", "P1", 1, 0)]


def test_kept_instances_are_part_10_files(receive: Receive, tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "here"
    receiver = receive(keep=folder)
    sent = study(1, 2)
    send(receiver, *sent, *sent)
    files = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, folder.iterdir())}
    assert set(files) == {one.sop_instance_uid for one in sent}
    assert all(bytes(one.data).endswith(files[one.sop_instance_uid].PixelData) for one in sent)


def test_any_called_ae_title_is_accepted_unless_it_is_to_be_checked(receive: Receive) -> None:
    assert send(receive(), instance(), aet="WHATEVER") == [0]
    strict = receive(aet="ARCHIVE", check_aet=True)
    assert send(strict, instance(), aet="ARCHIVE") == [0]
    with pytest.raises(TransportFault, match="called AE title not recognized"):
        send(strict, instance(), aet="WHATEVER")


def test_a_port_that_is_taken_is_said_so(receive: Receive) -> None:
    taken = receive().port
    with pytest.raises(Unavailable, match=f"can't listen on 127.0.0.1:{taken}: Address already in use"):
        DicomReceiver(DicomReceiverOptions(port=taken)).start()


def test_answers_can_be_delayed(receive: Receive) -> None:
    started = time.monotonic()
    send(receive(delay_ms=100), instance())
    assert time.monotonic() - started >= 0.1


# --- Lies -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lies", "statuses", "ledger"),
    [
        ({"drop": 1}, {0}, [("00002", "P2", 2, 0), ("00003", "P3", 2, 0)]),
        (
            {"duplicate": 1},
            {0},
            [("00001", "P1", 2, 0), ("00001", "P1", 2, 0), ("00002", "P2", 2, 0), ("00003", "P3", 2, 0)],
        ),
        ({"fail": 1}, {0, 0xC000}, [("00002", "P2", 2, 0), ("00003", "P3", 2, 0)]),
        ({"swap_patient": 1}, {0}, [("00001", "P1", 2, 0), ("00002", "P1", 2, 0), ("00003", "P3", 2, 0)]),
    ],
    ids=["drop", "duplicate", "fail", "swap patient"],
)
def test_it_lies_as_it_was_told(
    receive: Receive, lies: dict[str, int], statuses: set[int], ledger: list[tuple[str, str, int, int]]
) -> None:
    receiver = receive(**lies)
    sent = [one for order in (1, 2, 3) for one in study(order, 2)]
    assert set(send(receiver, *sent)) == statuses
    assert kept(receiver) == ledger


def test_a_duplicate_is_found_under_two_study_uids(receive: Receive) -> None:
    receiver = receive(duplicate=1)
    send(receiver, *study(1))
    _, answers = findscu(receiver, "AccessionNumber=7K3QX0AB00001", "StudyInstanceUID")
    assert len({answer["StudyInstanceUID"] for answer in answers}) == 2


# --- The program ------------------------------------------------------------------------------------------------------


def test_the_program_says_when_it_is_ready_and_ends_with_its_stdin(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    command = [sys.executable, "-m", "app.receivers", "dicom", "--port", "0", "--until-eof", "--ledger", str(ledger)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        ready = json.loads(program.stdout.readline())
        assert (ready["receiver"], ready["host"]) == ("dicom", "127.0.0.1")
        sender = DimseStudySender()
        destination = DicomDestination(aet="ANY", host="127.0.0.1", port=ready["port"])
        sender.store(destination, study(1, 2), time.monotonic() + 30)
        sender.close()
        program.stdin.close()
        assert program.wait(30) == 0
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert [line.pop("sop_instance_uid") for line in lines] == [one.sop_instance_uid for one in study(1, 2)]
    assert len({line.pop("study_uid") for line in lines}) == 1
    assert lines == [
        {
            "accession": "7K3QX0AB00001",
            "patient_id": "P1",
            "patient_name": "DOE^JANE 1",
            "birth_date": "19700101",
            "sex": "F",
        },
        {},
    ]
