"""``yeeter doctor`` and ``yeeter db``: what is wrong, and what to do about it."""

from __future__ import annotations

from contextlib import closing

import pytest
from pynetdicom import AE, PYNETDICOM_IMPLEMENTATION_VERSION, evt
from pynetdicom.sop_class import Verification

from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.adapters.database import SqlDatabase
from app.domain.work import Death, NewDeadLetter
from app.ports import Message
from tests.cli.conftest import Yeeter
from tests.contract.pynetdicom_server import PynetdicomServer
from tests.services.processes import free_port, wait_until
from tests.services.rabbitmq import RabbitMq


def test_all_is_well_on_a_new_machine(yeeter: Yeeter) -> None:
    result = yeeter("doctor")
    assert result.code == 0
    assert [line.split()[0] for line in result.out.splitlines()] == ["ok"] * 6


def test_what_is_broken_is_named_with_its_cure(yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("DATABASE_URL", f"postgresql://127.0.0.1:{port}/yeeter")
    monkeypatch.setenv("YEETER_SERVER", f"http://127.0.0.1:{port}")
    result = yeeter("doctor", "--hl7", f"127.0.0.1:{port}", "--pacs", f"PACS@127.0.0.1:{port}", "--json")
    assert (result.code, result.json["ok"]) == (1, False)
    checks = {check["name"]: check for check in result.json["checks"]}
    assert [name for name, check in checks.items() if not check["ok"]] == ["database", "API", "HL7", "PACS"]
    assert "Connection refused" in checks["database"]["detail"]
    assert checks["API"]["detail"].endswith("is `yeeter serve` up?")
    assert checks["HL7"]["detail"].endswith("start it, or correct the address")
    assert checks["PACS"]["detail"].endswith("start it, or correct AE title and address")
    lines = yeeter("doctor", "--hl7", f"127.0.0.1:{port}").out.splitlines()
    assert [line.split()[0] for line in lines] == ["BROKEN", "ok", "ok", "BROKEN", "BROKEN"]


def test_an_archive_that_answers_others_and_not_us_may_be_our_defect(yeeter: Yeeter) -> None:
    def turned_away(event: evt.Event) -> None:
        if event.assoc.requestor.implementation_version_name != PYNETDICOM_IMPLEMENTATION_VERSION:
            event.assoc.acse.send_reject(0x01, 0x01, 0x01)

    ae = AE(ae_title="PICKY")
    ae.add_supported_context(Verification)
    server = PynetdicomServer(ae, [(evt.EVT_REQUESTED, turned_away)])
    with closing(server):
        result = yeeter("doctor", "--pacs", f"PICKY@127.0.0.1:{server.port}", "--json")
    (archive,) = [check for check in result.json["checks"] if check["name"] == "PACS"]
    assert "no association" in archive["detail"]
    assert "it answers pynetdicom, so this may be a defect of Yeeter: try again" in archive["detail"]


def test_the_database_is_migrated_on_request(yeeter: Yeeter) -> None:
    first, second = yeeter("db", "upgrade"), yeeter("db", "upgrade")
    assert first.code == second.code == 0
    assert first.out == second.out
    assert first.out.startswith("sqlite, schema ")


def test_a_shared_database_is_migrated_on_request_only(
    yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch, postgres_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    refused = yeeter("templates", "list")
    assert (refused.code, refused.out) == (1, "")
    assert refused.errors[0].endswith("run `yeeter db upgrade`")
    assert yeeter("db", "upgrade").code == 0
    assert yeeter("templates", "list").code == 0


def test_a_broker_that_takes_no_messages_is_told(
    yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch, rabbitmq: RabbitMq, amqp_url: str
) -> None:
    monkeypatch.setenv("RABBITMQ_URL", amqp_url)
    with rabbitmq.alarm():
        wait_until(lambda: "low on memory" in yeeter("doctor", "--json").out, 60, "the alarm in doctor's words")


def test_what_waits_for_somebody_is_told(yeeter: Yeeter, monkeypatch: pytest.MonkeyPatch, amqp_url: str) -> None:
    assert yeeter("db", "upgrade").code == 0
    with closing(SqlDatabase("sqlite:///.yeeter/yeeter.db")) as database, database.transaction() as work:
        for _ in range(5):
            work.destinations.report("dicom:PACS@archive:104", "connection refused")
        work.dead_letters.add([NewDeadLetter("jobs", "x", "{", Death("not_a_job", "not JSON"), "w1")])
    monkeypatch.setenv("RABBITMQ_URL", amqp_url)
    with closing(RabbitMqBroker(amqp_url)) as broker:
        broker.declare(["send_dicom"])
        broker.publish([Message("m1", "send_dicom", b"{}")])
        result = yeeter("doctor", "--json")
    checks = {check["name"]: check for check in result.json["checks"]}
    assert [name for name, check in checks.items() if not check["ok"]] == ["queues", "destinations"]
    queues, destinations = checks["queues"]["detail"], checks["destinations"]["detail"]
    assert queues == "1 jobs wait in send_dicom and nobody takes them: start `yeeter worker --queues send_dicom`"
    assert "dicom:PACS@archive:104 is away since" in destinations and destinations.endswith("connection refused")
    assert checks["dead letters"]["detail"].startswith("1 are open")
    (row,) = yeeter("destinations", "list", "--json").json["destinations"]
    assert (row["state"], row["faults"], row["parked_jobs"]) == ("OPEN", 5, 0)
