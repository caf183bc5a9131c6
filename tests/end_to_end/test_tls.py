"""Every connection by TLS, each peer checked: what docs/tls.md says, from one end to the other."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.conftest import Yeeter, start_receiver
from tests.services.certificates import Authority
from tests.services.postgres import Postgres
from tests.services.rabbitmq import RabbitMq


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of the receivers."""
    return Authority(tmp_path / "tls")


@pytest.fixture
def encrypted(
    tmp_path: Path, authority: Authority, rabbitmq: RabbitMq, amqp_url: str, tls_postgres: Postgres
) -> Yeeter:
    """On RabbitMQ and PostgreSQL, by TLS, with a certificate to show."""
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(authority.file.read_bytes() + rabbitmq.authority.file.read_bytes())
    own = rabbitmq.authority.issue("client")
    return Yeeter(
        tmp_path,
        RABBITMQ_URL=rabbitmq.tls_url(urlsplit(amqp_url).path[1:]),
        DATABASE_URL=f"{tls_postgres.url()}?sslmode=verify-full&sslrootcert={tls_postgres.authority.file}",
        YEETER_TLS_CA_FILE=str(trusted),
        YEETER_TLS_CERT_FILE=str(own.certificate),
        YEETER_TLS_KEY_FILE=str(own.key),
    )


def test_a_run_whose_every_connection_is_encrypted(
    encrypted: Yeeter, authority: Authority, rabbitmq: RabbitMq, programs: ExitStack, tmp_path: Path
) -> None:
    pair = authority.issue("127.0.0.1")
    shown = ("--tls-cert-file", str(pair.certificate), "--tls-key-file", str(pair.key))
    mllp, dicom = (
        start_receiver(programs, tmp_path, kind, *shown, "--tls-ca-file", str(rabbitmq.authority.file))
        for kind in ("mllp", "dicom")
    )
    encrypted("db", "upgrade")
    programs.enter_context(encrypted.start(tmp_path / "worker.log", "worker")).wait_for_line("working")
    assert encrypted.json("doctor")["ok"]
    summary = encrypted.json(
        *("run", "metadata-only", "--orders", "10"),
        *("--hl7", f"127.0.0.1:{mllp}", "--set", "destinations.hl7.tls=true"),
        *("--pacs", f"YEETER@127.0.0.1:{dicom}", "--set", "destinations.dicom.tls=true"),
    )
    assert (summary["status"], summary["verdict"]) == ("COMPLETED", "pass")
    assert summary["reconciliation"]["method"] == "c-find+ledger"
