"""Runs a check: its tests or its program in a process of its own; the figures come by pytest's own report."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

from tests.qualify.bar import Check, Figures
from tests.qualify.machine import ROOT

FOREIGN = "hypothesis-"  # properties that are no figures of ours


class Interrupted(Exception):
    """Somebody ended it from outside."""


@dataclass(frozen=True, slots=True)
class Trial:
    """``failed``: the tests that failed; ``output`` is for people who look on."""

    started: datetime
    load: float  # processes that wanted to run when it began: on a machine that others use, times are theirs, too
    seconds: float
    figures: Figures
    failed: list[str]
    output: str


def command_of(check: Check) -> list[str]:
    """After the interpreter."""
    if check.program:
        return ["-m", check.program]
    return ["-m", "pytest", f"--timeout={check.seconds}", *check.tests]


def try_check(check: Check) -> Trial:
    """Run it in its long form, to its end.

    Raises:
        Interrupted: a signal ended it; that says nothing of what it measures.
    """
    started, begun, load = datetime.now(UTC), time.monotonic(), round(os.getloadavg()[0], 1)
    with tempfile.TemporaryDirectory(prefix="yeeter-qualify-") as folder:
        report = Path(folder) / "report.xml"
        wanted = [] if check.program else [f"--junitxml={report}", "-o", "junit_family=xunit1"]
        done = subprocess.run(
            [sys.executable, *command_of(check), *wanted],
            cwd=ROOT,
            env=_environment(check),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        figures, failed = _read_report(report) if report.exists() else ({}, [])
    if done.returncode < 0:
        raise Interrupted(f"ended by {signal.Signals(-done.returncode).name}")
    figures |= _read_output(check, done.stdout)
    if done.returncode and not failed:
        failed = [f"exit code {done.returncode}"]
    return Trial(started, load, round(time.monotonic() - begun, 1), figures, failed, done.stdout)


def _environment(check: Check) -> dict[str, str]:
    """Without a wish to compile every module anew in every process: programs would start in three times the time."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **check.environment}


def _read_report(path: Path) -> tuple[Figures, list[str]]:
    """What the tests recorded, beside how many passed; and those that did not."""
    recorded: defaultdict[str, list[float]] = defaultdict(list)
    failed: list[str] = []
    cases = ElementTree.parse(path).findall(".//testcase")
    for case in cases:
        for entry in case.iter("property"):
            name = entry.get("name", "")
            if not name.startswith(FOREIGN):
                recorded[name].append(_number(entry.get("value", "")))
        if any(case.find(tag) is not None for tag in ("failure", "error", "skipped")):
            module = case.get("classname", "").rpartition(".")[2]
            failed.append(f"{module}::{case.get('name')}")
    return _plain(recorded) | {"tests_passed": len(cases) - len(failed)}, failed


def _read_output(check: Check, output: str) -> Figures:
    match = re.search(check.reads, output) if check.reads else None
    found = match.groupdict() if match else {}
    return {name: _number(value) for name, value in found.items() if value is not None}


def _plain(recorded: defaultdict[str, list[float]]) -> Figures:
    """A list only where several tests have recorded the same figure."""
    return {name: values[0] if len(values) == 1 else values for name, values in recorded.items()}


def _number(text: str) -> float:
    value = float(text)
    return int(value) if value.is_integer() else value


def tail(output: str, lines: int = 60) -> Iterable[str]:
    return output.splitlines()[-lines:]
