"""Both images, built once a session. The store is kept in .cache/, so that the next session builds only what is new."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.images.base import python_base
from tests.images.engine import PROJECT, Engine

TAG = "test"


@dataclass(frozen=True)
class Images:
    """Their names."""

    yeeter: str = f"localhost/yeeter:{TAG}"
    worker: str = f"localhost/yeeter-worker:{TAG}"


@pytest.fixture(scope="session")
def engine() -> Engine:
    return Engine(PROJECT / ".cache" / "images")


@pytest.fixture(scope="session")
def images(engine: Engine) -> Images:
    engine.build(python_base(engine), TAG)
    engine("podman", "image", "prune", "--force", "--filter=until=24h")  # layers that nothing is made of any more
    return Images()


@pytest.fixture
def volume(engine: Engine) -> Iterator[str]:
    """The name of an empty volume."""
    name = f"test-{uuid4().hex[:12]}"
    engine("podman", "volume", "create", name)
    yield name
    engine("podman", "volume", "rm", "--force", name)


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    """Enter started containers here; they end with the test."""
    with ExitStack() as stack:
        yield stack
