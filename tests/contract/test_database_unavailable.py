"""A database that can't be used says so in one line, and is used again once it is back."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.adapters.database import SqlDatabase
from app.adapters.database.engine import TRIED_AFTER, errors_of, make_engine
from app.domain.errors import InvalidInput, SchemaMissing, Unavailable
from app.domain.run import OrderState, RunState
from tests.contract.database_fixtures import Play, url_of
from tests.services.postgres import Postgres, running_postgres

NOBODY = "00000000-0000-0000-0000-000000000000"
SECRET = "s3cret"


def every_way_in(database: SqlDatabase) -> list[Callable[[], object]]:
    def transaction() -> None:
        with database.transaction() as work:
            work.templates.all()

    return [
        transaction,
        database.upgrade,
        database.check,
        database.queries.runs_to_resume,
        lambda: database.feed.read(NOBODY, None, 1),
        lambda: database.feed.newest(NOBODY),
        lambda: database.feed.holds_back(NOBODY),
    ]


def complaint_of(url: str) -> str:
    """The one line that every way in says."""
    database = SqlDatabase(url)
    complaints = set()
    for ask in every_way_in(database):
        with pytest.raises(Unavailable) as caught:
            ask()
        complaints.add(str(caught.value))
    database.close()
    [complaint] = complaints
    assert "\n" not in complaint and SECRET not in complaint and "sqlite3" not in complaint
    return complaint


# --- PostgreSQL ---


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    complaint = complaint_of(f"postgresql://yeeter:{SECRET}@127.0.0.1:{port}/yeeter")
    assert complaint.startswith("database: connection to server at") and str(port) in complaint
    assert complaint.endswith("Connection refused")


def test_a_database_that_is_not_there(postgres: Postgres) -> None:
    url = postgres.url("nowhere").replace("@", f":{SECRET}@")
    assert complaint_of(url).endswith('database "nowhere" does not exist')


def test_an_option_that_the_driver_does_not_know(postgres: Postgres) -> None:
    assert "surprise" in complaint_of(postgres.url() + "?surprise=1")


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    """A server that only this file's tests use, which stop and kill it."""
    with running_postgres() as server:
        yield server


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill], ids=["stopped", "killed"])
def test_a_server_that_comes_back_is_used_again(mortal: Postgres, end: Callable[[Postgres], None]) -> None:
    with mortal.new_database() as url:
        database = SqlDatabase(url)
        database.upgrade()
        play = Play(database)
        play.acknowledge(0)
        with pytest.raises(Unavailable) as caught, database.transaction() as work:
            work.runs.move(play.run.id, RunState.RUNNING)
            end(mortal)
            work.runs.move(play.run.id, RunState.WAITING_ON_WORKERS)
        assert "\n" not in str(caught.value)
        for ask in every_way_in(database):
            with pytest.raises(Unavailable):
                ask()
        mortal.start()
        for ask in every_way_in(database):
            ask()
        assert [claim.granted for claim in play.claim(0)] == [True]
        with database.transaction() as work:
            assert work.runs.get(play.run.id).state is RunState.PENDING
        database.close()


@pytest.fixture
def cut_off(postgres_database: SqlDatabase) -> Play:
    """Two connections have just been used, and then ended by somebody."""
    play = Play(postgres_database)
    with play.database.transaction() as work, play.database.transaction() as beside:
        work.runs.get(play.run.id)
        beside.runs.get(play.run.id)
    other = make_engine(url_of(postgres_database))
    with other.begin() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    other.dispose()
    return play


def test_connections_that_were_ended_while_they_rested_are_replaced(cut_off: Play) -> None:
    time.sleep(TRIED_AFTER)
    cut_off.acknowledge(0)


def test_of_connections_that_are_ended_just_after_their_use_one_says_so(cut_off: Play) -> None:
    with pytest.raises(Unavailable):
        cut_off.database.queries.runs_to_resume()
    cut_off.acknowledge(0)  # the other one is not used any more


@pytest.mark.parametrize("code", ["40001", "40P01", "57P01", "53100"])
def test_what_the_server_refuses_for_now_is_unavailable(postgres_database: SqlDatabase, code: str) -> None:
    engine = make_engine(url_of(postgres_database))
    refusal = f"DO $$ BEGIN RAISE EXCEPTION 'not now' USING ERRCODE = '{code}'; END $$"
    with pytest.raises(Unavailable, match=r"^database: not now$"), errors_of(engine), engine.begin() as connection:
        connection.exec_driver_sql(refusal)
    engine.dispose()


def test_a_pool_that_is_used_up_is_unavailable(engine: Engine) -> None:
    with pytest.raises(Unavailable, match="every connection is in use"), errors_of(engine):
        raise PoolTimeout


@pytest.mark.parametrize(
    "statement", ["SELECT 1 FROM simulation_nothing", "SELECT no_such_column FROM simulation_runs"]
)
def test_a_schema_of_another_version_is_not_waited_for(engine: Engine, statement: str) -> None:
    missing = pytest.raises(SchemaMissing, match=r"^database.*yeeter db upgrade")
    with missing, errors_of(engine), engine.connect() as connection:
        connection.exec_driver_sql(statement)


# --- SQLite ---


def test_a_disk_that_is_full_is_waited_for(sqlite_url: str) -> None:
    database = SqlDatabase(sqlite_url)
    database.upgrade()
    play = Play(database)
    play.acknowledge(0)
    set_pages(database, "page_count")
    numbers = list(range(1, 500))
    with pytest.raises(Unavailable, match=r"database or disk is full$"):
        play.acknowledge(*numbers)
    assert play.counts().keys() == {OrderState.WAITING}
    assert play.order(0).state is OrderState.WAITING
    set_pages(database, "1000000")
    play.acknowledge(*numbers)
    assert play.counts() == {OrderState.WAITING: 500}
    database.close()


def set_pages(database: SqlDatabase, most: str) -> None:
    """Let the file grow to so many pages: on each connection that is made from now on, as the limit is its own."""

    @event.listens_for(database._engine, "connect")
    def limit(connection: Any, _record: Any) -> None:
        [[pages]] = connection.execute("PRAGMA page_count").fetchall() if most == "page_count" else [[most]]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    database._engine.dispose()


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "deeper" / "yeeter.db"
    assert complaint_of(f"sqlite:///{path}") == f"database {path}: Not a directory"


def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    assert complaint_of(f"sqlite:///{tmp_path}") == f"database {tmp_path}: unable to open database file"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "yeeter.db"
    path.write_text("Dear diary, " * 1000)
    assert complaint_of(f"sqlite:///{path}") == f"database {path}: file is not a database"


def test_the_folder_of_a_new_database_is_made_when_it_is_first_used(tmp_path: Path) -> None:
    path = tmp_path / "new" / "er" / "yeeter.db"
    database = SqlDatabase(f"sqlite:///{path}")
    assert not path.parent.exists()
    database.upgrade()
    assert path.exists()
    database.close()


# --- addresses ---


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "not a URL"),
        ("yeeter.db", "not a URL"),
        (f"postgresql://yeeter:{SECRET}@127.0.0.1:port/yeeter", "not a URL"),
        (f"mysql://yeeter:{SECRET}@127.0.0.1/yeeter", "mysql is not supported"),
        ("postgresql+asyncpg://127.0.0.1/yeeter", "postgresql.asyncpg is not supported"),
        (f"postgresql://yeeter:p@{SECRET}@127.0.0.1/yeeter", "write %40"),
    ],
)
def test_an_address_that_names_no_database_is_refused_as_input(url: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem) as caught:
        SqlDatabase(url)
    assert "DATABASE_URL" in str(caught.value) and SECRET not in str(caught.value)
