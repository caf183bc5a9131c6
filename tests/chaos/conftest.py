"""Services of the chaos runs: of their own, as they are killed in the middle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.chaos import LIMIT, Chaos, readable
from tests.chaos.department import Department
from tests.chaos.plan import Plan
from tests.chaos.preloaded import Preloaded
from tests.services.postgres import Postgres, running_postgres
from tests.services.rabbitmq import RabbitMq, running_rabbitmq

CarryOut = Callable[..., Chaos]


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


@pytest.fixture
def carry_out(
    mortal_rabbitmq: RabbitMq,
    mortal_postgres: Postgres,
    preloaded: Preloaded,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> CarryOut:
    """Carries a plan out, with what ``act`` does to the run; records its figures, and asserts that nothing is wrong."""

    def carry_out(
        plan: Plan, act: Callable[[Chaos], None] | None = None, seconds: float = LIMIT, **of_the_department: Any
    ) -> Chaos:
        with mortal_postgres.new_database() as database:
            department = Department(plan, mortal_rabbitmq, mortal_postgres, database, tmp_path, **of_the_department)
            with department.open():
                chaos = Chaos(plan, department, preloaded, seconds)
                found = chaos.carry_out(act)
        for name, value in chaos.figures.items():
            record_property(name, value)
        report = [f"plan {plan.as_json()}", *chaos.director.done, f"figures {chaos.figures}"]
        print(*report, sep="\n")
        assert not found, readable(plan, report, found)
        return chaos

    return carry_out
