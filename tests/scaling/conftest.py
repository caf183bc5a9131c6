"""Services of the pools: RabbitMQ with its management API, PostgreSQL, and a process that has everything imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.preloaded import Preloaded
from tests.scaling.site import Site
from tests.services.postgres import Postgres, running_postgres
from tests.services.rabbitmq import RabbitMq, running_rabbitmq


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMq]:
    with running_rabbitmq(management=True) as node:
        yield node


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    with Preloaded(tmp_path_factory.mktemp("preloaded") / "preloaded.log") as parent:
        yield parent


@pytest.fixture
def site(rabbitmq: RabbitMq, postgres: Postgres, preloaded: Preloaded, tmp_path: Path) -> Iterator[Site]:
    with postgres.new_database() as database, Site(rabbitmq, database, preloaded, tmp_path) as site:
        yield site
