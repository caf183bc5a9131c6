"""Migrations: from nothing, again, by several processes at once, and back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text

from alembic import command
from app.adapters.database import SqlDatabase
from app.adapters.database.engine import make_engine
from app.adapters.database.migrations import HEAD, ROOT, revision_of
from app.adapters.database.tables import metadata, outbox
from app.domain.errors import SchemaMissing
from tests.contract.database_fixtures import Play

UPGRADE = """
import sys
from app.adapters.database import SqlDatabase
database = SqlDatabase(sys.argv[1])
sys.stdin.readline()
database.upgrade()
print(database.check())
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    """A connection to a migrated database, in one transaction."""
    engine = make_engine(database_url)
    database = SqlDatabase(database_url)
    database.upgrade()
    database.close()
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def alembic(connection: Connection) -> Config:
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["connection"] = connection
    return config


def test_the_head_that_is_checked_for_is_that_of_the_migrations() -> None:
    assert ScriptDirectory(str(ROOT / "alembic")).get_current_head() == HEAD


def test_upgrading_makes_every_table_and_again_nothing(database_url: str) -> None:
    database = SqlDatabase(database_url)
    for _ in range(2):
        database.upgrade()
        name, schema = database.check().split(", ")
        assert name == database_url.partition(":")[0] and schema == f"schema {HEAD}"
    play = Play(database)
    play.acknowledge(0)
    database.upgrade()
    assert play.waiting() == 1
    database.close()


def test_processes_that_start_together_upgrade_one_after_the_other(database_url: str) -> None:
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(3)
    ]
    try:
        for program in programs:
            assert program.stdin is not None
            program.stdin.write("go\n")
            program.stdin.flush()
        answers = [program.communicate(timeout=200) for program in programs]
    finally:
        for program in programs:
            program.kill()
    assert [output.endswith(f"schema {HEAD}\n") for output, _ in answers] == [True] * 3, answers


def test_the_migrations_make_what_the_tables_say(connection: Connection) -> None:
    command.check(alembic(connection))  # raises when autogenerate would still have something to do


def test_downgrading_takes_everything_away(connection: Connection) -> None:
    tables = set(metadata.tables)
    assert set(inspect(connection).get_table_names()) == tables | {"alembic_version"}
    for _ in range(2):
        command.downgrade(alembic(connection), "base")
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
        command.upgrade(alembic(connection), "head")
        assert set(inspect(connection).get_table_names()) == tables | {"alembic_version"}


def test_jobs_that_wait_to_be_published_still_do_when_their_messages_are_gone(connection: Connection) -> None:
    command.downgrade(alembic(connection), "0006_webhooks")
    of_before = {"run_id": str(uuid4()), "order_number": 7, "step_index": 1, "starts": 0, "epoch": 0, "queue": "q"}
    columns = of_before | {"job_id": "j", "body": "{}"}
    values = ", ".join(f":{name}" for name in columns)
    connection.execute(text(f"INSERT INTO outbox ({', '.join(columns)}) VALUES ({values})"), columns)
    command.upgrade(alembic(connection), "head")
    assert connection.execute(select(outbox.c.order_number, outbox.c.queue)).all() == [(7, "q")]


def test_the_alembic_command_finds_the_database_of_the_settings(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    command.upgrade(Config(str(ROOT / "alembic.ini")), "head")
    database = SqlDatabase(database_url)
    assert database.check().endswith(f"schema {HEAD}")
    database.close()


def test_a_database_without_a_schema_says_how_to_get_one(database_url: str) -> None:
    database = SqlDatabase(database_url)
    for ask in (
        database.check,
        lambda: Play(database),
        lambda: database.queries.runs_to_resume(),
        lambda: database.feed.read("00000000-0000-0000-0000-000000000000", None, 1),
    ):
        with pytest.raises(SchemaMissing, match="yeeter db upgrade"):
            ask()
    database.close()


def test_a_database_of_a_newer_version_says_so_and_is_left_as_it_is(database_url: str) -> None:
    database = SqlDatabase(database_url)
    database.upgrade()
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999_of_tomorrow'"))
    for ask in (database.check, database.upgrade):
        with pytest.raises(SchemaMissing, match="9999_of_tomorrow, which this version does not know"):
            ask()
    with engine.connect() as connection:
        assert revision_of(connection) == "9999_of_tomorrow"
    engine.dispose()
    database.close()


def test_a_database_of_an_older_version_says_how_to_upgrade_it(connection: Connection, database_url: str) -> None:
    command.downgrade(alembic(connection), "0006_webhooks")
    connection.commit()
    database = SqlDatabase(database_url)
    with pytest.raises(SchemaMissing, match=r"at 0006_webhooks, not .*; run `yeeter db upgrade`"):
        database.check()
    database.close()


def test_on_postgresql_no_index_but_the_feeds_has_an_events_id(postgres_database: SqlDatabase) -> None:
    with postgres_database._engine.connect() as connection:
        inspected = inspect(connection)
        assert inspected.get_pk_constraint("simulation_run_events")["constrained_columns"] == []
        indexes = inspected.get_indexes("simulation_run_events")
    assert [index["name"] for index in indexes if "id" in index["column_names"]] == ["ix_simulation_run_events_feed"]
