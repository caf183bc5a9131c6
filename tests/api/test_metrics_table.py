"""docs/operations.md lists every metric as it is told."""

from __future__ import annotations

import re
from pathlib import Path

from tests.api.told import Told, told_by_us

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
NAME = re.compile(r"yeeter_[a-z0-9_]+")
UNBOUNDED = {"run", "run_id", "run_key", "order", "worker", "destination", "host", "reason"}


def row(told: Told) -> str:
    return f"| `{told.name}` | {told.type} | {', '.join(f'`{label}`' for label in told.labels)} | {told.meaning} |"


def test_the_table_is_what_is_told(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (rows,) = re.findall(r"^\| Metric \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", page, re.M)
    assert rows.splitlines() == [row(told) for told in told_by_us(tmp_path)]


def test_names_and_labels_are_as_prometheus_wants_them(tmp_path: Path) -> None:
    for told in told_by_us(tmp_path):
        assert NAME.fullmatch(told.name)
        assert (told.type == "counter") == told.name.endswith("_total"), told.name
        assert not told.name.endswith(("_ms", "_milliseconds", "_minutes", "_mb")), f"{told.name}: a base unit"
        assert told.type != "histogram" or told.name.endswith("_seconds"), told.name
        assert not UNBOUNDED & set(told.labels), told.name
        assert told.meaning.endswith(".")
