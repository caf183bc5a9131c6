"""The harness: figures travel whole, the bar is heeded, and what is kept is what the bar has."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.qualify import evidence
from tests.qualify.amounts import PREFIX
from tests.qualify.bar import CHECKS, Check, at_least, at_most, exactly
from tests.qualify.machine import ROOT, Tree, this_machine
from tests.qualify.trial import Interrupted, Trial, try_check

TREE = Tree("c0ffee", "a99", dirty=False)
CHECK = Check("swift", "20 or more, in 5 ms", (at_least("count", 20), at_most("ms", 5)), environment={"HOW": "long"})
TRIAL = Trial(datetime(2026, 1, 5, 8, tzinfo=UTC), 0.1, 1.5, {"count": 20, "ms": [4.5, 5]}, [], "")

MEASURING = """
import os
import pytest

@pytest.mark.parametrize("ms", [1, 2.5])
def test_measures(record_property, ms):
    record_property("count", os.environ["HOW_MANY"])
    record_property("ms", ms)

@pytest.mark.parametrize("ms", [0])
def test_fails(ms):
    assert os.environ["HOW_MANY"] == "20"
"""


@pytest.mark.parametrize(
    ("figures", "missed"),
    [
        ({"count": 20, "ms": 5}, []),
        ({"count": [20, 21], "ms": [4, 5]}, []),
        ({"count": 19, "ms": 5}, ["count is 19, not 20 or more"]),
        ({"count": [20, 19], "ms": 5.5}, ["count is 19, not 20 or more", "ms is 5.5, not 5 or less"]),
        ({"count": 20}, ["ms was not recorded"]),
        ({"count": 20, "ms": float("nan")}, ["ms is nan, not 5 or less"]),
    ],
)
def test_the_limits_are_heeded(figures: dict[str, float | list[float]], missed: list[str]) -> None:
    assert CHECK.missed(figures) == missed


def test_a_limit_says_what_it_wants() -> None:
    assert exactly("lost", 0).missed({"lost": 1}) == "lost is 1, not 0"


def test_figures_come_from_the_tests_that_a_check_runs(tmp_path: Path) -> None:
    tests = tmp_path / "test_measuring.py"
    tests.write_text(MEASURING)
    check = Check("measuring", "", tests=(str(tests),), environment={"HOW_MANY": "20"})
    trial = try_check(check)
    assert (trial.figures, trial.failed) == ({"count": [20, 20], "ms": [1, 2.5], "tests_passed": 3}, []), trial.output
    failing = try_check(replace(check, environment={"HOW_MANY": "7"}))
    assert failing.figures["tests_passed"] == 2
    assert failing.failed == ["test_measuring::test_fails[0]"]


def test_figures_of_a_program_come_from_its_output() -> None:
    check = Check("this", "", program="this", reads=r"(?P<ways>\d+)|one-- and preferably only (?P<only>one)")
    trial = try_check(replace(check, reads=r"(?P<nothing>\d+)"))
    assert (trial.figures, trial.failed) == ({}, [])
    assert try_check(replace(check, program="tests.no_such_module")).failed == ["exit code 1"]


def test_what_was_interrupted_is_no_evidence(tmp_path: Path) -> None:
    tests = tmp_path / "test_ending.py"
    tests.write_text("import os, signal\n\ndef test_ends():\n    os.kill(os.getpid(), signal.SIGTERM)\n")
    with pytest.raises(Interrupted, match="SIGTERM"):
        try_check(Check("ending", "", tests=(str(tests),)))


def test_evidence_is_current_for_this_app_in_this_form_by_these_limits(tmp_path: Path) -> None:
    evidence.write(evidence.document_of(CHECK, TRIAL, TREE), tmp_path)
    document = evidence.read("swift", tmp_path)
    assert document is not None and document["passed"]
    assert evidence.is_current(CHECK, document, TREE)
    assert evidence.is_current(CHECK, document, replace(TREE, commit="d0c5"))
    assert not evidence.is_current(CHECK, None, TREE)
    assert not evidence.is_current(CHECK, document, replace(TREE, app="b1"))
    assert not evidence.is_current(CHECK, document, replace(TREE, dirty=True))
    assert not evidence.is_current(replace(CHECK, environment={"HOW": "longer"}), document, TREE)
    assert not evidence.is_current(replace(CHECK, limits=(at_most("ms", 4),)), document, TREE)


@pytest.mark.parametrize("trial", [replace(TRIAL, failed=["test_it"]), replace(TRIAL, figures={"count": 20, "ms": 6})])
def test_what_failed_is_not_current(trial: Trial) -> None:
    document = evidence.document_of(CHECK, trial, TREE)
    assert not document["passed"]
    assert not evidence.is_current(CHECK, document, TREE)


def test_a_measurement_on_changed_sources_is_nobodys() -> None:
    document = evidence.document_of(CHECK, TRIAL, replace(TREE, dirty=True))
    assert document["passed"] and not evidence.is_current(CHECK, document, TREE)


def test_the_machine_is_described_without_a_path() -> None:
    machine = this_machine()
    assert all(machine.values()), machine
    assert "/" not in json.dumps({name: value for name, value in machine.items() if name != "system"})


def test_each_check_has_its_own_name_limits_and_tests_that_exist() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert check.limits and bool(check.tests) != bool(check.program), check.name
        for test in check.tests:
            file, _, name = test.partition("::")
            assert not name or f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), test
            assert (ROOT / file).is_file(), test


def test_the_page_says_what_the_files_say_and_every_file_is_of_a_check() -> None:
    assert (evidence.FOLDER / evidence.PAGE).read_text(encoding="utf-8") == evidence.page()
    assert {path.stem for path in evidence.FOLDER.glob("*.json")} <= {check.name for check in CHECKS}


def test_amounts_that_the_bar_sets_are_read_by_a_test() -> None:
    known = {
        f"{PREFIX}{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"\bamount\(\"([A-Z_]+)\"", path.read_text(encoding="utf-8"))
    }
    wanted = {name for check in CHECKS for name in check.environment if name.startswith(PREFIX)}
    assert wanted <= known
