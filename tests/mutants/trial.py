"""Trying mutants: a copy of the tree, one edit at a time, and the tests that must fail on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("app", "alembic", "tests", "alembic.ini", "pyproject.toml", "yeeter_cli.py")
TEST_SECONDS = 60  # for one test: a mutant may well hang
TRIAL_SECONDS = 600
FAILED = 1  # pytest: tests ran, and some failed


@dataclass(frozen=True, slots=True)
class Mutant:
    """``old`` becomes ``new`` in ``file``; that breaks ``promise``, and at least one of ``tests`` must fail."""

    name: str
    promise: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """``failed`` is the first test that failed; empty when the mutant lives."""

    mutant: Mutant
    failed: str
    seconds: float
    output: str

    @property
    def is_caught(self) -> bool:
        return bool(self.failed)


class MutantMissed(Exception):
    """The mutant does not fit the source any more."""


class Copy:
    """A copy of the tree, without anything compiled: an edit within a second of another would not be noticed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, folder / part)

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """With the edit while the block runs.

        Raises:
            MutantMissed: the old text is not there exactly once.
        """
        path = self._folder / mutant.file
        source = path.read_text(encoding="utf-8")
        path.write_text(edited(mutant, source), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(source, encoding="utf-8")

    def run(self, tests: Iterable[str]) -> tuple[int, str]:
        """pytest's exit code and output; it ends at the first failure."""
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", f"--timeout={TEST_SECONDS}"]
        done = subprocess.run(
            [*command, *tests],
            cwd=self._folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(self._folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TRIAL_SECONDS,
            check=False,
        )
        return done.returncode, done.stdout


def edited(mutant: Mutant, source: str) -> str:
    """The source with the mutant's edit. Raises MutantMissed."""
    count = source.count(mutant.old)
    if count != 1:
        raise MutantMissed(f"{mutant.name}: its text is {count} times in {mutant.file}, not once:\n{mutant.old}")
    return source.replace(mutant.old, mutant.new)


def try_mutant(copy: Copy, mutant: Mutant) -> Result:
    """Run its tests on it. Raises MutantMissed."""
    begun = time.monotonic()
    with copy.mutated(mutant):
        code, output = copy.run(mutant.tests)
    failed = _first_failed(output) if code == FAILED else ""
    return Result(mutant, failed, time.monotonic() - begun, output)


def check_sound(copy: Copy, mutants: Sequence[Mutant]) -> str:
    """The tests must pass on the tree as it is; else their output."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    code, output = copy.run(tests)
    return "" if code == 0 else output


def _first_failed(output: str) -> str:
    for line in output.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split(" - ")[0].partition(" ")[2]
    return "(the run of the tests)"
