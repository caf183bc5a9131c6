"""The HTML of pages: templates beside this module, everything in one file, text of others escaped."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from app.reporting.numbers import bytes_text, count_text, figure_text, seconds_text


def render(page: str, **context: Any) -> str:
    """The page of this name, as a whole document."""
    return _environment().get_template(f"{page}.html.j2").render(context)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("app.reporting", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"seconds": seconds_text, "bytes": bytes_text, "number": count_text}
    environment.filters |= filters
    environment.globals["figure_text"] = figure_text
    return environment
