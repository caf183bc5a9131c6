"""The programs as a user starts them, with an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.services.processes import Program

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Program]


class Yeeter:
    """The command line in a folder of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "COV_"))},
            **environment,
        }

    def __call__(self, *arguments: str, code: int | None = 0, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """Run to its end; its exit code must be ``code`` (None: whatever it is)."""
        done = subprocess.run(
            [sys.executable, str(ROOT / "yeeter_cli.py"), *arguments],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self(*arguments, "--json", code=code).stdout)

    def start(self, log: Path, *arguments: str) -> Program:
        return Program([sys.executable, ROOT / "yeeter_cli.py", *arguments], log, self.environment)


@pytest.fixture
def yeeter(tmp_path: Path) -> Yeeter:
    """Embedded: nothing is set."""
    return Yeeter(tmp_path)


@pytest.fixture
def distributed(tmp_path: Path, postgres_url: str, amqp_url: str) -> Yeeter:
    """On RabbitMQ and PostgreSQL."""
    return Yeeter(tmp_path, DATABASE_URL=postgres_url, RABBITMQ_URL=amqp_url)


@pytest.fixture
def programs() -> Iterator[ExitStack]:
    """Enter started programs here; they end with the test."""
    with ExitStack() as stack:
        yield stack


def start_receiver(programs: ExitStack, folder: Path, kind: str, *options: str) -> int:
    """A built-in receiver as its own process; the port it listens on."""
    command = [sys.executable, "-m", "app.receivers", kind, "--host", "127.0.0.1", "--port", "0", *options]
    program = programs.enter_context(Program(command, folder / f"{kind}-receiver.log"))
    return int(json.loads(program.wait_for_line(r"^\{.*\"port\".*\}$").group())["port"])
