"""TLS of every connection, with real certificates: the right ones work, the wrong ones are refused with a reason."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.adapters.archive.dicom_query import DicomArchiveQuery
from app.adapters.broker.rabbitmq import RabbitMqBroker
from app.adapters.database import SqlDatabase
from app.adapters.senders.dimse import DimseStudySender
from app.bootstrap import tls_context
from app.domain.destination import DicomDestination
from app.domain.errors import InvalidInput, StepError, Unavailable
from app.ports import Message
from app.receivers.dicom.options import DicomReceiverOptions
from app.receivers.dicom.server import DicomReceiver
from app.receivers.tls import server_context
from app.settings import Settings
from tests.contract.broker_messages import LONG, collect
from tests.contract.instances import instance
from tests.contract.mllp_orders import order, outcomes, sender_to
from tests.contract.mllp_peers import running_receiver
from tests.services.certificates import Authority, KeyPair
from tests.services.postgres import Postgres
from tests.services.processes import wait_until
from tests.services.rabbitmq import PASSWORD, RabbitMq

SECRET = "Spilled-Beans"
ALIAS = "127.1"  # means 127.0.0.1, without a resolver, and is in no certificate


def settings(ca: Path | None = None, own: KeyPair | None = None) -> ssl.SSLContext | None:
    """The context that a process makes of its settings."""
    files = {"tls_cert_file": own.certificate, "tls_key_file": own.key} if own else {}
    return tls_context(Settings(tls_ca_file=ca, **files))


@dataclass(frozen=True)
class Peers:
    """Certificates for a server at 127.0.0.1 and for its clients, and those of somebody else."""

    ours: Authority
    others: Authority
    server: KeyPair
    client: KeyPair
    stranger: KeyPair


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    ours, others = (Authority(tmp_path_factory.mktemp(name)) for name in ("ours", "others"))
    return Peers(ours, others, ours.issue("127.0.0.1"), ours.issue("client"), others.issue("stranger"))


# --- RabbitMQ ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def virtual_host(amqp_url: str) -> str:
    return urlsplit(amqp_url).path[1:]


def exchange_a_message(url: str, tls: ssl.SSLContext | None) -> None:
    broker = RabbitMqBroker(url, connect_seconds=5, tls=tls)
    try:
        broker.declare(["work"])
        broker.publish([Message("m", "work", b"{}")])
        subscription = broker.subscribe(["work"], prefetch=1)
        subscription.acknowledge(collect(subscription, 1))
    finally:
        broker.close()


def test_rabbitmq_by_tls(rabbitmq: RabbitMq, virtual_host: str) -> None:
    exchange_a_message(rabbitmq.tls_url(virtual_host), settings(rabbitmq.authority.file))


def test_rabbitmq_by_tls_with_a_certificate_of_our_own(rabbitmq: RabbitMq, virtual_host: str) -> None:
    own = rabbitmq.authority.issue("client")
    exchange_a_message(rabbitmq.tls_url(virtual_host), settings(rabbitmq.authority.file, own))


def complaint(url: str, tls: ssl.SSLContext | None) -> str:
    """Why the broker can't be used, as soon as an attempt to connect has shown it."""
    broker = RabbitMqBroker(url, connect_seconds=0.2, tls=tls)
    try:
        wait_until(lambda: "no answer" not in broker.trouble(), LONG, "the first attempt")
        with pytest.raises(Unavailable) as failure:
            broker.declare(["work"])
        assert PASSWORD not in str(failure.value)
        return broker.trouble()
    finally:
        broker.close()


@pytest.mark.parametrize(
    ("host", "ca", "reason"),
    [
        ("127.0.0.1", lambda node, peers: peers.others.file, "self-signed"),
        ("127.0.0.1", lambda node, peers: None, "self-signed"),
        (ALIAS, lambda node, peers: node.authority.file, f"not valid for '{ALIAS}'"),
    ],
    ids=["another authority", "the system's authorities", "another host name"],
)
def test_rabbitmq_that_is_not_who_it_should_be_is_refused(
    host: str, ca: Callable[[RabbitMq, Peers], Path | None], reason: str, rabbitmq: RabbitMq, peers: Peers
) -> None:
    text = complaint(rabbitmq.tls_url(host=host), settings(ca(rabbitmq, peers)))
    assert "its TLS certificate is not trusted" in text
    assert reason in text
    assert "check YEETER_TLS_CA_FILE" in text


def test_rabbitmq_refuses_a_certificate_of_a_stranger(rabbitmq: RabbitMq, peers: Peers) -> None:
    text = complaint(rabbitmq.tls_url(), settings(rabbitmq.authority.file, peers.stranger))
    assert "YEETER_TLS_CERT_FILE" in text


def test_rabbitmq_at_the_other_kind_of_port(rabbitmq: RabbitMq) -> None:
    tls_at_plain = rabbitmq.tls_url().replace(str(rabbitmq.tls_port), str(rabbitmq.port))
    assert "A plain one wants amqp:// in RABBITMQ_URL" in complaint(tls_at_plain, None)
    plain_at_tls = rabbitmq.url().replace(str(rabbitmq.port), str(rabbitmq.tls_port))
    assert "a port for TLS wants amqps:// in RABBITMQ_URL" in complaint(plain_at_tls, None)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def verified(server: Postgres, ca: Path, host: str = "127.0.0.1") -> str:
    where = f"{host}:{server.port}/postgres?hostaddr=127.0.0.1"
    return f"postgresql://yeeter:{SECRET}@{where}&sslmode=verify-full&sslrootcert={ca}"


def test_postgres_by_tls(tls_postgres: Postgres) -> None:
    database = SqlDatabase(verified(tls_postgres, tls_postgres.authority.file))
    database.upgrade()
    assert database.check().startswith("postgresql")
    database.close()


@pytest.mark.parametrize(
    ("host", "ca", "reason"),
    [
        ("127.0.0.1", lambda server, peers: peers.others.file, "certificate verify failed"),
        ("elsewhere.example", lambda server, peers: server.authority.file, "does not match host name"),
        ("127.0.0.1", lambda server, peers: Path("/nowhere/ca.pem"), "root certificate file .* does not exist"),
    ],
    ids=["another authority", "another host name", "no file"],
)
def test_postgres_that_is_not_who_it_should_be_is_refused(
    host: str, ca: Callable[[Postgres, Peers], Path], reason: str, tls_postgres: Postgres, peers: Peers
) -> None:
    database = SqlDatabase(verified(tls_postgres, ca(tls_postgres, peers), host))
    with pytest.raises(Unavailable, match=reason) as failure:
        database.check()
    assert SECRET not in str(failure.value)
    database.close()


def test_postgres_without_tls_is_refused_when_tls_is_wanted(postgres: Postgres, peers: Peers) -> None:
    database = SqlDatabase(verified(postgres, peers.ours.file))
    with pytest.raises(Unavailable, match="does not support SSL"):
        database.check()
    database.close()


# --- MLLP and DICOM, to receivers that want to see a certificate ------------------------------------------------------


def test_mllp_with_certificates_on_both_sides(peers: Peers) -> None:
    tls = server_context(peers.server.certificate, peers.server.key, peers.ours.file)
    with (
        running_receiver(tls=tls) as receiver,
        sender_to(receiver.port, settings(peers.ours.file, peers.client)) as sender,
    ):
        sender.submit(order())
        assert outcomes(sender, 1)[0].verdict == "accepted"
    assert len(receiver.ledger) == 1


@pytest.mark.parametrize("own", [lambda peers: None, lambda peers: peers.stranger], ids=["none", "a stranger's"])
def test_mllp_without_the_certificate_that_is_asked_for(own: Callable[[Peers], KeyPair | None], peers: Peers) -> None:
    tls = server_context(peers.server.certificate, peers.server.key, peers.ours.file)
    with (
        running_receiver(tls=tls) as receiver,
        sender_to(receiver.port, settings(peers.ours.file, own(peers))) as sender,
    ):
        sender.submit(order())
        outcome = outcomes(sender, 1)[0]
    assert outcome.verdict != "accepted"
    assert len(receiver.ledger) == 0


def test_mllp_to_another_host_name(peers: Peers) -> None:
    tls = server_context(peers.server.certificate, peers.server.key, None)
    with (
        running_receiver(tls=tls) as receiver,
        sender_to(receiver.port, settings(peers.ours.file), host=ALIAS) as sender,
    ):
        sender.submit(order())
        outcome = outcomes(sender, 1)[0]
    assert outcome.attempts == 0
    assert "certificate is not trusted" in outcome.reason and ALIAS in outcome.reason


@pytest.fixture
def archive(peers: Peers) -> Iterator[DicomReceiver]:
    pair = peers.server
    options = DicomReceiverOptions(
        port=0, tls_cert_file=pair.certificate, tls_key_file=pair.key, tls_ca_file=peers.ours.file
    )
    receiver = DicomReceiver(options)
    receiver.start()
    yield receiver
    receiver.close()


def address(archive: DicomReceiver, host: str = "127.0.0.1") -> DicomDestination:
    return DicomDestination(aet="YEETER", host=host, port=archive.port, tls=True)


def store(destination: DicomDestination, tls: ssl.SSLContext | None) -> list[str]:
    sender = DimseStudySender(tls)
    try:
        deadline = time.monotonic() + 2  # an archive that refuses us is tried again until then
        return [result.outcome for result in sender.store(destination, [instance(1, 1)], deadline)]
    finally:
        sender.close()


def test_dicom_with_certificates_on_both_sides(archive: DicomReceiver, peers: Peers) -> None:
    tls = settings(peers.ours.file, peers.client)
    assert store(address(archive), tls) == ["stored"]
    query = DicomArchiveQuery(tls)
    query.echo(address(archive))
    assert len(archive.ledger.entries()) == 1


@pytest.mark.parametrize("own", [lambda peers: None, lambda peers: peers.stranger], ids=["none", "a stranger's"])
def test_dicom_without_the_certificate_that_is_asked_for(
    own: Callable[[Peers], KeyPair | None], archive: DicomReceiver, peers: Peers
) -> None:
    tls = settings(peers.ours.file, own(peers))
    with pytest.raises(StepError):
        store(address(archive), tls)
    with pytest.raises(Unavailable):
        DicomArchiveQuery(tls).echo(address(archive))
    assert archive.ledger.entries() == []


def test_dicom_to_another_host_name(archive: DicomReceiver, peers: Peers) -> None:
    tls = settings(peers.ours.file, peers.client)
    with pytest.raises(StepError, match=rf"certificate is not trusted.*{ALIAS}"):
        store(address(archive, ALIAS), tls)


# --- The receivers' own files -----------------------------------------------------------------------------------------


def test_a_file_that_is_no_certificate_is_named(peers: Peers, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    for files in ((nonsense, None, None), (peers.server.certificate, None, None), (tmp_path / "none", None, None)):
        with pytest.raises(InvalidInput, match=r"--tls-cert-file.*give PEM files"):
            server_context(*files)


def test_authorities_without_a_certificate_are_an_error_and_not_plain_tcp(peers: Peers) -> None:
    with pytest.raises(InvalidInput, match="--tls-cert-file: is missing"):
        server_context(None, None, peers.ours.file)
