"""Services of the chaos runs: of their own, as they are killed in the middle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.preloaded import Preloaded
from tests.services.postgres import Postgres, running_postgres
from tests.services.rabbitmq import RabbitMq, running_rabbitmq


@pytest.fixture(scope="module")
def mortal_rabbitmq() -> Iterator[RabbitMq]:
    """A RabbitMQ node that may be killed, if it is started again."""
    with running_rabbitmq() as node:
        yield node


@pytest.fixture(scope="module")
def mortal_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that may be killed, if it is started again."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    log: Path = tmp_path_factory.mktemp("preloaded") / "preloaded.log"
    with Preloaded(log) as parent:
        yield parent
