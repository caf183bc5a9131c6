"""A private PostgreSQL server: own data and port, loopback only, no passwords, nothing synced to disk."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg2  # type: ignore[import-untyped]

from tests.services.certificates import Authority
from tests.services.processes import Program, ServiceMissing, free_port, limit_file_size, wait_until

INSTALLATIONS = Path("/usr/lib/postgresql")
SUPERUSER = "yeeter"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",  # commits are still written before they are answered, so they outlive a kill of the server
    "full_page_writes": "off",
    "max_connections": "200",
}


class Postgres:
    """A server with its data in a folder; it can be stopped, killed and started again.

    Args:
        folder: empty; takes data and log. Owned by the user ``postgres`` when the tests run as root.
        tls: also speak TLS, with a certificate for 127.0.0.1 that ``authority`` issued.

    Raises:
        ServiceMissing: PostgreSQL is not installed.
    """

    def __init__(self, folder: Path, tls: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._binaries = _newest_installation()
        self._user = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        self._server: Program | None = None
        if self._user:
            shutil.chown(folder, self._user, self._user)
        self._initialise()
        self._settings = SETTINGS | (self._write_certificate() if tls else {})

    def url(self, database: str = "postgres") -> str:
        """Address of a database; local connections need no password."""
        return f"postgresql://{SUPERUSER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start with the data that is there; returns when it answers."""
        settings = [argument for name, value in self._settings.items() for argument in ("-c", f"{name}={value}")]
        command: list[str | Path] = [self._binaries / "postgres", "-D", self._data, "-p", str(self.port), *settings]
        self._server = Program(command, self.folder / "postgres.log", user=self._user)
        wait_until(self._answers, 60, f"PostgreSQL, log in {self.folder}")

    def stop(self) -> None:
        """Shut down in good order, ending the connections of clients."""
        if self._server is not None:
            self._server.signal(signal.SIGINT)  # "fast shutdown"
            self._server.wait()

    def kill(self) -> None:
        """As a power cut would: SIGKILL; returns when the server's own processes have noticed and are gone."""
        if self._server is None or not self._server.running:
            return
        children = _children(self._server.pid)
        self._server.kill()
        _wait_for_the_end_of(children)

    def fill_disk(self) -> None:
        """Let it write nothing more, and return when it has ended for that: with the next commit, as on a full disk.

        ``start`` gives it room again.
        """
        assert self._server is not None
        children = _children(self._server.pid)
        for pid in (self._server.pid, *children):
            with contextlib.suppress(subprocess.CalledProcessError):  # a connection's process that has just ended
                limit_file_size(pid, 0, self._user)
        self._server.wait(60)
        _wait_for_the_end_of(children)

    @contextlib.contextmanager
    def new_database(self) -> Iterator[str]:
        """Address of an empty database that nobody else uses."""
        name = f"test_{uuid4().hex[:12]}"
        self._execute(f'CREATE DATABASE "{name}"')
        try:
            yield self.url(name)
        finally:
            self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _initialise(self) -> None:
        log = self.folder / "initdb.log"
        options = ["--auth=trust", f"--username={SUPERUSER}", "--encoding=UTF8", "--locale=C", "--no-sync"]
        with Program([self._binaries / "initdb", "-D", self._data, *options], log, user=self._user) as initdb:
            if initdb.wait(60) != 0:
                raise RuntimeError(f"initdb failed:\n{initdb.output}")

    def _write_certificate(self) -> dict[str, str]:
        self.authority = Authority(self.folder / "tls")
        pair = self.authority.issue("127.0.0.1")
        pair.key.chmod(0o600)  # it refuses one that others can read
        if self._user:
            shutil.chown(pair.key, self._user, self._user)
        return {"ssl": "on", "ssl_cert_file": str(pair.certificate), "ssl_key_file": str(pair.key)}

    def _answers(self) -> bool:
        if self._server is None or not self._server.running:
            raise RuntimeError(f"PostgreSQL ended:\n{self._server.output if self._server else ''}")
        with contextlib.suppress(psycopg2.OperationalError):
            psycopg2.connect(self.url(), connect_timeout=5).close()
            return True
        return False

    def _execute(self, statement: str) -> None:
        connection = psycopg2.connect(self.url())
        try:
            connection.autocommit = True  # databases are not made or dropped within a transaction
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()


@contextlib.contextmanager
def running_postgres(tls: bool = False) -> Iterator[Postgres]:
    """A server that was started; ended, and its data removed, at the end."""
    folder = Path(tempfile.mkdtemp(prefix="yeeter-postgres-"))
    try:
        server = Postgres(folder, tls)
        try:
            server.start()
            yield server
        finally:
            server.stop()  # also frees its shared memory, which killing would not
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _wait_for_the_end_of(pids: list[int]) -> None:
    wait_until(lambda: not any(Path("/proc", str(pid)).exists() for pid in pids), 30, "end of PostgreSQL")


def _newest_installation() -> Path:
    found = [path.parent for path in INSTALLATIONS.glob("*/bin/postgres")]
    if not found:
        raise ServiceMissing("postgres", "postgresql")
    return max(found, key=lambda path: int(re.sub(r"\D.*", "", path.parent.name) or 0))
