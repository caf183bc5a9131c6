"""Evidence: a JSON file for each check with its figures and what they were measured on, and the page made from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.qualify.bar import CHECKS, Check
from tests.qualify.machine import ROOT, Tree, this_machine
from tests.qualify.trial import Trial, command_of

FOLDER = ROOT / "docs" / "evidence"
PAGE = "README.md"
INTRODUCTION = """\
# Evidence

The long figures of the reliability bar, as `make qualify` measured them; this page is made from the files beside it,
which say more: every figure, the machine, the versions, the command that measures again. A figure belongs to every
commit whose `app/` is the same. The bar itself is in `tests/qualify/bar.py`.

| Check | The bar | Result | Figures | Commit | When |
|---|---|---|---|---|---|
"""
Document = dict[str, Any]


def document_of(check: Check, trial: Trial, tree: Tree) -> Document:
    missed = check.missed(trial.figures)
    settings = [f'{name}="{value}"' for name, value in check.environment.items()]
    return {
        "name": check.name,
        "bar": check.bar,
        "passed": not (trial.failed or missed),
        "failed": trial.failed,
        "missed": missed,
        "figures": trial.figures,
        "seeds": [int(seed) for seed in check.environment.get("YEETER_CHAOS_SEED", "").split()],
        "environment": dict(check.environment),
        "command": " ".join([*settings, "python", *command_of(check)]),
        "started": trial.started.isoformat(timespec="seconds"),
        "load": trial.load,
        "seconds": trial.seconds,
        "commit": tree.commit,
        "app_tree": tree.app,
        "dirty": tree.dirty,
        "machine": this_machine(),
    }


def is_current(check: Check, document: Document | None, tree: Tree) -> bool:
    """Whether the check needs not be run: it passed, on this app/, in this long form, and by today's limits."""
    return (
        document is not None
        and not tree.dirty
        and not document["dirty"]
        and document["app_tree"] == tree.app
        and document["environment"] == dict(check.environment)
        and not document["failed"]
        and not check.missed(document["figures"])
    )


def read(name: str, folder: Path = FOLDER) -> Document | None:
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write(document: Document, folder: Path = FOLDER) -> None:
    """The check's file, and the page anew."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{document['name']}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    (folder / PAGE).write_text(page(folder), encoding="utf-8")


def page(folder: Path = FOLDER) -> str:
    return INTRODUCTION + "".join(f"{_row(check, read(check.name, folder))}\n" for check in CHECKS)


def _row(check: Check, document: Document | None) -> str:
    if document is None:
        return f"| {check.name} | {check.bar} | not measured | | | |"
    missed = [*document["failed"], *check.missed(document["figures"])]
    result = f"FAILED: {'; '.join(missed)}" if missed else "passed"
    link = f"[{check.name}]({check.name}.json)"
    commit = document["commit"][:10] + (", changed" if document["dirty"] else "")
    when = document["started"].replace("T", " ")[:16]
    return f"| {link} | {check.bar} | {result} | {_figures(document['figures'].items())} | {commit} | {when} |"


def _figures(figures: Iterable[tuple[str, float | list[float]]]) -> str:
    """Of several values the range."""
    return ", ".join(f"{name.replace('_', ' ')} {_range(value)}" for name, value in figures)


def _range(value: float | list[float]) -> str:
    values = value if isinstance(value, list) else [value]
    ends = dict.fromkeys((min(values), max(values)))
    return " to ".join(f"{end:,}" for end in ends)
