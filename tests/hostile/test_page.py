"""docs/hostile-peers.md names the test of every case, and each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = (TESTS.parent / "docs" / "hostile-peers.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.endswith("| Test |")]
NAMED = sorted(set(re.findall(r"`(\w+/\w+\.py)::(test_\w+)(?:\[([^\]]+)\])?`", PAGE)))


def test_every_row_names_a_test() -> None:
    assert len(ROWS) > 60
    assert [row for row in ROWS if not re.search(r"`\w+/test_\w+\.py::test_\w+(\[[^\]]+\])?` \|$", row)] == []


@pytest.mark.parametrize(("file", "function", "case"), NAMED)
def test_a_test_that_is_named_exists(file: str, function: str, case: str) -> None:
    source = (TESTS / file).read_text(encoding="utf-8")
    assert f"def {function}(" in source
    assert case in source


@pytest.mark.parametrize("file", sorted(path.name for path in Path(__file__).parent.glob("test_*_*.py")))
def test_every_test_of_this_folder_is_a_row(file: str) -> None:
    source = (TESTS / "hostile" / file).read_text(encoding="utf-8")
    functions = set(re.findall(r"^def (test_\w+)\(", source, re.MULTILINE))
    assert functions - {function for _, function, _ in NAMED} == set()
