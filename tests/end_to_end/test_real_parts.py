"""The whole way on real parts: RabbitMQ, PostgreSQL, worker processes, an MLLP receiver, Orthanc, dcmtk."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hl7
import hl7.mllp
import pytest

from tests.contract.mllp_peers import on_a_loop
from tests.end_to_end.conftest import Yeeter, start_receiver
from tests.services.dcmtk import Storescp
from tests.services.object_store import ObjectStore
from tests.services.orthanc import Orthanc


def all_orders(yeeter: Yeeter, run_key: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = yeeter.json("orders", "list", run_key, "--limit", "5000")
    return rows


@contextlib.asynccontextmanager
async def python_hl7_receiver(texts: list[str]) -> AsyncIterator[asyncio.Server]:
    """The server of python-hl7: answers AA and keeps the texts."""

    async def answer(reader: hl7.mllp.HL7StreamReader, writer: hl7.mllp.HL7StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not writer.is_closing():
                message = await reader.readmessage()
                texts.append(str(message))
                writer.writemessage(message.create_ack())
                await writer.drain()

    async with await hl7.mllp.start_hl7_server(answer, "127.0.0.1", 0, encoding="latin-1") as server:
        yield server


def test_a_thousand_orders_reach_orthanc_each_once_whole_and_under_the_right_patient(
    distributed: Yeeter, programs: ExitStack, tmp_path: Path, orthanc: Orthanc
) -> None:
    mllp = start_receiver(programs, tmp_path, "mllp")
    distributed("db", "upgrade")
    for number in range(2):
        worker = programs.enter_context(distributed.start(tmp_path / f"worker-{number}.log", "worker"))
        worker.wait_for_line("working")
    summary = distributed.json(
        "run", "metadata-only", "--orders", "1000", "--hl7", f"127.0.0.1:{mllp}", "--pacs", orthanc.address
    )
    assert summary["status"] == "COMPLETED" and summary["verdict"] == "pass"
    assert summary["orders"]["completed"] == summary["reconciliation"]["checked"] == 1000
    assert summary["reconciliation"]["method"] == "c-find+ledger"
    assert len(summary["workers"]) == 2 and all(worker["jobs"] > 0 for worker in summary["workers"])

    run_key = summary["run_key"]
    orders = {row["accession"]: row for row in all_orders(distributed, run_key)}
    studies = [
        study for study in orthanc.get("studies?expand") if study["MainDicomTags"]["AccessionNumber"][:8] == run_key
    ]
    assert len(orders) == len(studies) == 1000
    instances = {study["ID"]: orthanc.get(f"studies/{study['ID']}/statistics")["CountInstances"] for study in studies}
    for study in studies:
        tags, patient = study["MainDicomTags"], study["PatientMainDicomTags"]
        order = orders.pop(tags["AccessionNumber"])
        assert tags["StudyInstanceUID"] == order["study_uid"]
        assert patient["PatientID"] == order["patient_id"]
        assert patient["PatientName"] == order["patient_name"]
        assert patient["PatientBirthDate"] == order["birth_date"]
        assert patient["PatientSex"] == order["sex"]
        assert int(instances[study["ID"]]) == order["instances"]
    assert orders == {}


def test_split_queues_with_two_worker_pools(distributed: Yeeter, programs: ExitStack, tmp_path: Path) -> None:
    mllp, dicom = start_receiver(programs, tmp_path, "mllp"), start_receiver(programs, tmp_path, "dicom")
    distributed("db", "upgrade")
    for queue in ("generate_dicom", "send_dicom"):
        worker = distributed.start(tmp_path / f"{queue}.log", "worker", "--queues", queue)
        programs.enter_context(worker).wait_for_line("working")
    summary = distributed.json(
        "run",
        "split-queues",
        *("--orders", "50", "--hl7", f"127.0.0.1:{mllp}", "--pacs", f"YEETER@127.0.0.1:{dicom}"),
        *("--set", "study.preset=single", "--set", "study.pixels=tiny"),
    )
    assert summary["verdict"] == "pass"
    assert summary["jobs"]["published"] == 100
    assert sorted(worker["jobs"] for worker in summary["workers"]) == [50, 50]


def test_split_queues_on_machines_that_share_no_disk(
    postgres_url: str, amqp_url: str, programs: ExitStack, tmp_path: Path, object_store: ObjectStore, bucket: str
) -> None:
    """What one worker made is in the bucket, and another one sends that. It would make it again if it found none."""

    def machine(name: str) -> Yeeter:
        home = tmp_path / name
        home.mkdir()
        services = {"DATABASE_URL": postgres_url, "RABBITMQ_URL": amqp_url, "YEETER_HOME": str(home)}
        return Yeeter(home, **services, **object_store.environment, YEETER_STUDY_STORE=f"s3://{bucket}/studies")

    producer = machine("producer")
    mllp, dicom = start_receiver(programs, tmp_path, "mllp"), start_receiver(programs, tmp_path, "dicom")
    producer("db", "upgrade")
    for queue in ("generate_dicom", "send_dicom"):
        worker = machine(queue).start(tmp_path / f"{queue}.log", "worker", "--queues", queue)
        programs.enter_context(worker).wait_for_line("working")
    summary = producer.json(
        "run",
        "split-queues",
        *("--orders", "20", "--hl7", f"127.0.0.1:{mllp}", "--pacs", f"YEETER@127.0.0.1:{dicom}"),
        *("--set", "study.preset=single", "--set", "study.pixels=tiny"),
    )
    assert summary["verdict"] == "pass" and summary["reconciliation"]["checked"] == 20
    assert sorted(worker["jobs"] for worker in summary["workers"]) == [20, 20]
    written, read = (object_store.requests(bucket, method) for method in ("PUT", "GET"))
    studies = {key for key in written if key.endswith(".tar")}
    assert len(studies) == 20 and studies <= read
    assert object_store.keys(bucket) == []
    assert not list(tmp_path.rglob("*.dcm"))


def test_a_stock_storescp_and_a_foreign_receiver_work_without_options(
    yeeter: Yeeter, programs: ExitStack, tmp_path: Path
) -> None:
    """One association at a time, no query; the order receiver is written with python-hl7."""
    storescp = programs.enter_context(Storescp(tmp_path))
    texts: list[str] = []
    server = programs.enter_context(on_a_loop(python_hl7_receiver(texts)))
    port = server.sockets[0].getsockname()[1]
    done = yeeter(
        *("run", "xr-chest", "--orders", "40", "--set", "study.pixels=tiny"),
        *("--hl7", f"127.0.0.1:{port}", "--pacs", storescp.address, "--summary", "summary.json"),
    )
    assert "could not be verified" in done.stdout + done.stderr
    received = storescp.received()
    assert len({ds.AccessionNumber for ds in received.values()}) == 40
    messages = [hl7.parse(text) for text in texts]
    assert {str(message["OBR.F18"]) for message in messages} == {ds.AccessionNumber for ds in received.values()}


@pytest.mark.parametrize(
    ("kind", "lies", "counts"),
    [
        ("dicom", ("--drop", "3"), {"missing": 3}),
        ("dicom", ("--duplicate", "2"), {"duplicated": 2}),
        ("dicom", ("--swap-patient", "1"), {"mismatched": 1}),
        (
            "mllp",
            ("--drop", "3", "--duplicate", "2", "--swap-patient", "1"),
            {"missing": 3, "duplicated": 2, "mismatched": 1},
        ),
    ],
)
def test_a_receiver_that_lies_is_found_out(
    yeeter: Yeeter, programs: ExitStack, tmp_path: Path, kind: str, lies: tuple[str, ...], counts: dict[str, int]
) -> None:
    port = start_receiver(programs, tmp_path, kind, *lies)
    where = ("--hl7", f"127.0.0.1:{port}") if kind == "mllp" else ("--pacs", f"YEETER@127.0.0.1:{port}")
    done = yeeter("run", "metadata-only", "--orders", "60", *where, "--summary", "summary.json", code=99)
    run_key = yeeter.json("runs", "list")[0]["run_key"]
    findings = yeeter.json("runs", "findings", run_key)
    for finding_kind, count in counts.items():
        named = {finding["accession"] for finding in findings if finding["kind"] == finding_kind}
        assert len(named) >= count, findings
        assert any(accession in done.stdout for accession in named)
