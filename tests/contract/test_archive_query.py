"""The archive query, against our receiver and Orthanc; and what it makes of peers that can't be asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification

from app.adapters.archive.dicom_query import DicomArchiveQuery
from app.adapters.senders.dimse import DimseStudySender
from app.domain import identity
from app.domain.destination import DicomDestination
from app.domain.errors import NotAnswerable, Unavailable
from app.domain.study import ArchivedStudy, EncodedInstance
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import DicomReceiver
from tests.contract.instances import instance
from tests.contract.pynetdicom_server import PynetdicomServer
from tests.services.dcmtk import Storescp
from tests.services.orthanc import Orthanc
from tests.services.processes import free_port

QUERY = DicomArchiveQuery()


@pytest.fixture(params=["receiver", "orthanc"])
def archive(request: pytest.FixtureRequest) -> Iterator[DicomDestination]:
    if request.param == "orthanc":
        server: Orthanc = request.getfixturevalue("orthanc")
        yield DicomDestination.model_validate(server.address)
        return
    receiver = DicomReceiver(DicomReceiverOptions(port=0))
    receiver.start()
    yield DicomDestination(aet="YEETER", host="127.0.0.1", port=receiver.port)
    receiver.close()


def fill(archive: DicomDestination, *instances: EncodedInstance) -> None:
    sender = DimseStudySender()
    assert {result.status for result in sender.store(archive, instances, time.monotonic() + 30)} == {0}
    sender.close()


def test_an_archive_answers_an_echo(archive: DicomDestination) -> None:
    QUERY.echo(archive)


def test_a_run_finds_its_own_studies_as_they_were_stored(archive: DicomDestination) -> None:
    own, other = identity.new_run_key(), identity.new_run_key()
    fill(
        archive,
        instance(1, 1, run_key=own),
        instance(1, 2, run_key=own),
        instance(2, 1, run_key=own, PatientName="LEE^ANN^^DR", PatientBirthDate="", PatientSex=""),
        instance(3, 1, run_key=other),
    )

    found = sorted(QUERY.studies(archive, own, 2), key=lambda study: study.accession)

    character_set = found[0].character_set
    assert found == [
        ArchivedStudy(own + "00001", identity.study_uid(own, 1), "P1", "DOE^JANE 1", "19700101", "F", 2, character_set),
        ArchivedStudy(own + "00002", identity.study_uid(own, 2), "P2", "LEE^ANN^^DR", "", "", 1, character_set),
    ]


@pytest.mark.parametrize("character_set", ["ISO_IR 100", "ISO_IR 192"])
def test_latin_1_names_come_back_as_they_were(archive: DicomDestination, character_set: str) -> None:
    run_key = identity.new_run_key()
    fill(archive, instance(1, run_key=run_key, SpecificCharacterSet=character_set, PatientName="MÜLLER^ZOË"))
    (found,) = QUERY.studies(archive, run_key, 1)
    assert found.patient_name == "MÜLLER^ZOË"
    assert found.character_set == ("ISO_IR 100" if archive.aet == Orthanc.aet else "ISO_IR 192")


def test_names_beyond_latin_1_come_back_from_an_archive_that_answers_in_utf_8(tmp_path: Path) -> None:
    names = ["Łukasz^Ωmega", "Yamada^Tarou=山田^太郎=やまだ^たろう"]
    with Orthanc(tmp_path, DefaultEncoding="Utf8") as orthanc:
        archive = DicomDestination.model_validate(orthanc.address)
        for order, name in enumerate(names):
            fill(archive, instance(order, SpecificCharacterSet="ISO_IR 192", PatientName=name))
        assert {study.patient_name for study in QUERY.studies(archive, "7K3QX0AB", 2)} == set(names)


def test_many_orders_are_asked_for_block_by_block(archive: DicomDestination) -> None:
    run_key = identity.new_run_key()
    stored = [0, 1, 1023, 1024, 2047, 2048, 2500]
    fill(archive, *(instance(number, run_key=run_key) for number in stored))
    found = {identity.order_number_of(run_key, study.accession) for study in QUERY.studies(archive, run_key, 2500)}
    assert found == set(stored)


def test_an_empty_archive_has_nothing(archive: DicomDestination) -> None:
    assert list(QUERY.studies(archive, identity.new_run_key(), 10)) == []


def test_a_consumer_that_stops_early_ends_the_association(archive: DicomDestination) -> None:
    run_key = identity.new_run_key()
    fill(archive, instance(1, run_key=run_key), instance(2, run_key=run_key))
    for _ in range(5):
        studies = QUERY.studies(archive, run_key, 2)
        assert next(iter(studies)).accession.startswith(run_key)


# --- Peers that can't be asked ----------------------------------------------------------------------------------------


def test_a_plain_storescp_is_not_answerable(tmp_path: Path) -> None:
    with Storescp(tmp_path) as scp:
        destination = DicomDestination.model_validate(scp.address)
        QUERY.echo(destination)
        with pytest.raises(NotAnswerable, match="does not offer query"):
            list(QUERY.studies(destination, "7K3QX0AB", 1))


def test_a_peer_that_refuses_associations_is_unavailable(tmp_path: Path) -> None:
    with Storescp(tmp_path, "--refuse") as scp:
        destination = DicomDestination.model_validate(scp.address)
        for _ in range(20):  # a rejecting peer hangs up at once, and the reason must not be lost with the connection
            with pytest.raises(Unavailable, match="association rejected permanently"):
                QUERY.echo(destination)
        with pytest.raises(Unavailable, match="association rejected permanently"):
            list(QUERY.studies(destination, "7K3QX0AB", 1))


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_nobody_there_is_unavailable(host: str) -> None:
    destination = DicomDestination(aet="NOBODY", host=host, port=free_port())
    with pytest.raises(Unavailable, match=host):
        QUERY.echo(destination)
    with pytest.raises(Unavailable, match=host):
        list(QUERY.studies(destination, "7K3QX0AB", 1))


def test_tls_without_trust_is_unavailable() -> None:
    destination = DicomDestination(aet="NOBODY", host="127.0.0.1", port=free_port(), tls=True)
    with pytest.raises(Unavailable, match="YEETER_TLS_CA_FILE"):
        QUERY.echo(destination)


class QueryScp:
    """A query SCP on pynetdicom whose answers to C-ECHO and C-FIND are given."""

    def __init__(self, find: Any = None, echo: Any = None) -> None:
        self._ae = AE(ae_title="QUERY")
        self._ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        self._ae.add_supported_context(Verification)
        given = {evt.EVT_C_FIND: find, evt.EVT_C_ECHO: echo}
        self._handlers = [(event, handler) for event, handler in given.items() if handler]

    def __enter__(self) -> DicomDestination:
        self._server = PynetdicomServer(self._ae, self._handlers)
        return DicomDestination(aet="QUERY", host="127.0.0.1", port=self._server.port)

    def __exit__(self, *error: object) -> None:
        self._server.close()


def one_study(accession: str = "7K3QX0AB00001") -> Dataset:
    ds = Dataset()
    ds.AccessionNumber = accession
    return ds


def test_an_answer_of_little_gives_a_study_of_little() -> None:
    with QueryScp(find=lambda event: iter([(0xFF00, one_study())])) as destination:
        assert list(QUERY.studies(destination, "7K3QX0AB", 1)) == [
            ArchivedStudy("7K3QX0AB00001", "", "", "", None, None, None, character_set="")
        ]


@pytest.mark.parametrize("status", [0xA700, 0xA900, 0xC001])
def test_a_failure_in_the_middle_is_unavailable(status: int) -> None:
    with (
        QueryScp(find=lambda event: iter([(0xFF00, one_study()), (status, None)])) as destination,
        pytest.raises(Unavailable, match=f"0x{status:04X}"),
    ):
        list(QUERY.studies(destination, "7K3QX0AB", 1))


def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_comes_twice() -> None:
    queries = []

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        queries.append(event.identifier.AccessionNumber)
        yield 0xFF00, one_study(event.identifier.AccessionNumber[:-1] + "00")
        if len(queries) == 2:
            event.assoc.abort()
            return
        yield 0x0000, None

    with QueryScp(find=find) as destination:
        found = [study.accession for study in QUERY.studies(destination, "7K3QX0AB", 2047)]
    assert queries == ["7K3QX0AB000*", "7K3QX0AB001*", "7K3QX0AB001*"]
    assert found == ["7K3QX0AB00000", "7K3QX0AB00100"]


def test_an_archive_that_ends_the_association_between_two_queries_is_asked_on_another() -> None:
    assocs = []

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        assocs.append(event.assoc)
        yield 0xFF00, one_study(event.identifier.AccessionNumber[:-1] + "00")
        yield 0x0000, None

    with QueryScp(find=find) as destination:
        studies = QUERY.studies(destination, "7K3QX0AB", 2047)
        found = [next(iter(studies)).accession]
        assocs[0].abort()
        time.sleep(0.5)  # until our side has noticed
        found += [study.accession for study in studies]
    assert found == ["7K3QX0AB00000", "7K3QX0AB00100"]


def test_answers_that_are_lost_twice_are_unavailable() -> None:
    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        event.assoc.abort()
        yield 0x0000, None

    with QueryScp(find=find) as destination, pytest.raises(Unavailable, match="did not answer a C-FIND"):
        list(QUERY.studies(destination, "7K3QX0AB", 1))


def test_an_echo_that_fails_is_unavailable() -> None:
    with QueryScp(echo=lambda event: 0x0211) as destination, pytest.raises(Unavailable, match="0x0211"):
        QUERY.echo(destination)
