"""``yeeter compare``: two runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli import options
from app.cli.backend import Document, open_backend
from app.cli.output import write, write_json, write_table


def compare(
    before: Annotated[str, typer.Argument(metavar="RUN_A", help="Run key or id.", show_default=False)],
    after: Annotated[str, typer.Argument(metavar="RUN_B", help="Run key or id.", show_default=False)],
    all_: Annotated[bool, typer.Option("--all", help="Also the figures that stayed the same.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the comparison here, as a page.")] = None,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Compare two runs: where their settings differ, and which figures changed by more than 5 %."""
    with open_backend(server) as backend:
        comparison = backend.comparison(before, after)
        if html is not None:
            html.write_text(backend.comparison_page(before, after), encoding="utf-8")
    if json:
        write_json(comparison)
    else:
        _write_comparison(comparison, all_)


def _write_comparison(comparison: Document, all_: bool) -> None:
    runs = [comparison["before"], comparison["after"]]
    columns = ("run_key", "headline", "template", "orders", "seed", "created_at")
    write_table(runs, [(name, name.upper().replace("_", " ")) for name in columns])
    keys = [run["run_key"] for run in runs]
    if comparison["settings"]:
        write()
        write("Settings that differ", style="bold")
        write_table(comparison["settings"], _columns("setting", keys), indent=2)
    figures = [figure for figure in comparison["figures"] if all_ or figure["effect"] != "same"]
    write()
    write("Figures" if all_ else "Figures that differ by more than 5 %", style="bold")
    if not figures:
        write("  none")
        return
    write_table([_line(figure) for figure in figures], [*_columns("figure", keys), *_EFFECT], indent=2)


_EFFECT = (("change", "CHANGE"), ("effect", "EFFECT"))


def _columns(first: str, keys: list[str]) -> list[tuple[str, str]]:
    return [(first, first.upper()), ("before", keys[0]), ("after", keys[1])]


def _line(figure: Document) -> Document:
    from app.reporting.numbers import figure_text

    path = figure["figure"]
    change = figure["change"]
    return figure | {
        "before": figure_text(path, figure["before"]),
        "after": figure_text(path, figure["after"]),
        "change": None if change is None else f"{change:+.1%}",
    }
