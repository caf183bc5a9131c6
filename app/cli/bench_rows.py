"""What the bench commands share: lists of numbers as flags, the destinations, and writing rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.exit_codes import INTERRUPTED, PASS, THRESHOLDS_NOT_MET
from app.cli.output import note, write_json, write_table
from app.cli.result import check_files
from app.util.csv_text import csv_text

if TYPE_CHECKING:
    from app.runs.start import RunRequest

Rows = Sequence[Mapping[str, Any]]


def numbers(what: str, example: str, most: int = 1_000_000) -> Callable[[str], list[int]]:
    """A parser of ``1,2,4``: counts of ``what`` from 1 to ``most``. It raises ValueError."""

    def parse(text: str) -> list[int]:
        values = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
        if not all(1 <= value <= most for value in values):
            raise ValueError(f"{text!r} is not a list of {what}; write for example {example}, each from 1 to {most}")
        return values

    return parse


@contextmanager
def receivers(request: RunRequest, *, dicom: bool = True) -> Iterator[RunRequest]:
    """The request with built-in receivers, which end with the block, where it names no destination.

    ``dicom``: whether there are studies to receive.
    """
    from dataclasses import replace

    from app.producer.receivers import BuiltInReceiver

    with ExitStack() as stack:
        if request.hl7 is None:
            request = replace(request, hl7=f"127.0.0.1:{stack.enter_context(BuiltInReceiver('mllp')).port}")
        if dicom and request.dicom is None:
            request = replace(request, dicom=f"YEETER@127.0.0.1:{stack.enter_context(BuiltInReceiver('dicom')).port}")
        yield request


def check_csv(path: Path | None) -> None:
    """Before anything is measured, see that the file can be written. Raises InvalidInput."""
    check_files({"--csv": path})


def exit_code(problems: Sequence[str], interrupted: bool = False) -> int:
    """By what is wrong with the rows, where empty texts stand for nothing."""
    if interrupted:
        note(f"interrupted: {len(problems)} rows were measured, and are stored", style="yellow")
        return INTERRUPTED
    return THRESHOLDS_NOT_MET if any(problems) else PASS


def write_rows(rows: Rows, shown: Rows, csv: Path | None, json: bool) -> None:
    """The rows as JSON, or what is shown of them as a table; and as a file for spreadsheets, in dotted columns."""
    from app.bench.keeping import flat

    if csv:
        cells = [flat(row) for row in rows]
        columns = list(dict.fromkeys(name for row in cells for name in row))
        csv.write_text(csv_text(columns, cells), encoding="utf-8", newline="")
    if json:
        write_json(rows)
    elif shown:
        write_table(shown, [(name, name.replace("_", " ").upper()) for name in shown[0]])
