"""Pools of workers: over the session's services, and forked from a process that has everything imported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.preloaded import Preloaded
from tests.scaling.site import Site
from tests.services.rabbitmq import RabbitMq


@pytest.fixture(scope="module")
def preloaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    with Preloaded(tmp_path_factory.mktemp("preloaded") / "preloaded.log") as parent:
        yield parent


@pytest.fixture
def site(rabbitmq: RabbitMq, amqp_url: str, postgres_url: str, preloaded: Preloaded, tmp_path: Path) -> Iterator[Site]:
    management = f"http://127.0.0.1:{rabbitmq.management_port}"
    with Site(amqp_url, management, postgres_url, preloaded, tmp_path) as site:
        yield site
