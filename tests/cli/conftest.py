"""The command line in a folder of its own, with no settings but the defaults."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.cli import main, output
from tests.services.processes import Program

KEPT = ("PATH", "HOME")
OURS = ("YEETER_", "RABBITMQ_", "DATABASE_URL")


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def errors(self) -> list[str]:
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]


class Yeeter:
    """Runs commands in this process, which is fast; every start of the real program takes a second or two."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: object, stdin: str = "") -> Result:
        self._monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        code = main([str(argument) for argument in arguments])
        out, err = self._capsys.readouterr()
        return Result(code, out, err)


@pytest.fixture(autouse=True)
def consoles() -> None:
    """Each test has a stdout and stderr of its own."""
    output.out.cache_clear()
    output.err.cache_clear()


@pytest.fixture
def yeeter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Yeeter]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    yield Yeeter(capsys, monkeypatch)
    structlog.reset_defaults()  # commands set up logs on the stderr of their test


class RealProgram:
    """``python -m app`` as a process, with an empty environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {name: value for name, value in os.environ.items() if name in KEPT or "COV" in name}

    def __call__(self, *arguments: object, timeout: float = 120, **environment: str) -> Result:
        """Run to its end."""
        done = subprocess.run(
            self._command(arguments),
            cwd=self.folder,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object, **environment: str) -> Program:
        """Leave it running; its stdout and stderr come as one."""
        command = ["env", f"--chdir={self.folder}", *self._command(arguments)]
        return Program(command, self.folder / "program.log", self._environment | environment)

    @staticmethod
    def _command(arguments: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "app", *map(str, arguments)]


@pytest.fixture
def program(tmp_path: Path) -> RealProgram:
    return RealProgram(tmp_path)


@pytest.fixture
def running() -> Iterator[ExitStack]:
    """Programs that are entered here end with the test."""
    with ExitStack() as stack:
        yield stack
