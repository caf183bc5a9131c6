"""Fixtures for every test. A service starts when the first test asks for it, and ends with the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.object_store import ObjectStore, running_object_store
from tests.services.orthanc import Orthanc, running_orthanc
from tests.services.postgres import Postgres, running_postgres
from tests.services.rabbitmq import RabbitMq, running_rabbitmq


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMq]:
    """A RabbitMQ node of the session's own."""
    with running_rabbitmq(management=True) as node:
        yield node


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server of the session's own."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def tls_postgres() -> Iterator[Postgres]:
    """One that speaks TLS, too."""
    with running_postgres(tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def orthanc() -> Iterator[Orthanc]:
    """An Orthanc of the session's own; tests keep apart by run keys."""
    with running_orthanc() as server:
        yield server


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """An object store of the session's own."""
    with running_object_store() as server:
        yield server


@pytest.fixture
def amqp_url(rabbitmq: RabbitMq) -> Iterator[str]:
    """Address of a virtual host that only this test uses."""
    with rabbitmq.new_virtual_host() as name:
        yield rabbitmq.url(name)


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """Address of an empty PostgreSQL database that only this test uses."""
    with postgres.new_database() as url:
        yield url


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket that only this test uses; this process finds it by AWS's variables."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return object_store.new_bucket()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """Address of an SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'yeeter.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind in turn; a test that uses this runs twice."""
    return str(request.getfixturevalue(f"{request.param}_url"))
