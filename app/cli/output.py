"""What is written: data on stdout as JSON or aligned columns, everything else on stderr.

Text comes from peers too (acknowledgements, names, reasons): control characters are shown, never sent to a terminal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

WIDE = 4096  # columns where there is no terminal to fit: nothing is folded or cut off

_VISIBLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def printable(value: Any) -> str:
    """The value as text that changes nothing but the screen's characters; nothing for None."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    return text.translate(_VISIBLE)


@cache
def out() -> Console:
    """The console of the data."""
    return _console(stderr=False)


@cache
def err() -> Console:
    """The console of progress and messages."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else WIDE
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, width=width)


def write(text: str = "", style: str | None = None) -> None:
    """A line of data."""
    out().print(printable(text), style=style, soft_wrap=True)


def note(text: str, style: str | None = None) -> None:
    """A line for the person who watches."""
    err().print(printable(text), style=style, soft_wrap=True)


def as_json(document: Any) -> str:
    """A document as JSON text, for files and for stdout."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write_json(document: Any) -> None:
    """A document as JSON, alone on stdout."""
    sys.stdout.write(as_json(document))


def write_json_line(document: Any) -> None:
    """A document as one line of JSON, at once."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def write_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[tuple[str, str]], indent: int = 0) -> None:
    """Rows as aligned columns: (key, heading) pairs choose and name them; numbers stand to the right."""
    rows = list(rows)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for key, heading in columns:
        table.add_column(heading, justify="right" if rows and _is_number(rows[0].get(key)) else "left")
    for row in rows:
        table.add_row(*(printable(row.get(key)) for key, _ in columns))
    with out().capture() as capture:
        out().print(Padding(table, (0, 0, 0, indent), expand=False))
    for line in capture.get().splitlines():
        sys.stdout.write(line.rstrip() + "\n")


def write_fields(fields: Mapping[str, Any], indent: int = 0) -> None:
    """Names and values, one pair a line; pairs without a value are left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", {}, [])}
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        write(f"{' ' * indent}{name:<{width}}  {printable(value)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
