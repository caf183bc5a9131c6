"""``yeeter templates``: the stored templates and, under ``steps``, the steps of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from app.cli import options
from app.cli.backend import Document, open_backend
from app.cli.output import note, write, write_json, write_table
from app.cli.steps import add_step, remove_step, set_step, step_values

templates = typer.Typer(no_args_is_help=True)
steps = typer.Typer(no_args_is_help=True)
templates.add_typer(steps, name="steps", help="The steps of a template.")

_LIST = (("name", "NAME"), ("version", "VERSION"), ("shipped", "SHIPPED"), ("orders", "ORDERS"), ("steps", "STEPS"))
_STEPS = (
    ("position", "POSITION"),
    ("type", "TYPE"),
    ("name", "NAME"),
    ("mode", "MODE"),
    ("queue", "QUEUE"),
    ("timeout", "TIMEOUT"),
    ("parameters", "PARAMETERS"),
)

Position = Annotated[int, typer.Argument(metavar="POSITION", min=0, help="Counted from 0.", show_default=False)]
Values = Annotated[
    list[str],
    typer.Argument(metavar="KEY=VALUE...", help="e.g. queue=send_dicom parameters.x=1", show_default=False),
]


@templates.command("list")
def list_(server: options.Server = None, json: options.Json = False) -> None:
    """Show all templates."""
    with open_backend(server) as backend:
        rows = backend.templates()
    if json:
        write_json(rows)
    else:
        write_table([_row(row) for row in rows], _LIST)


@templates.command()
def show(name: options.TemplateName, server: options.Server = None, json: options.Json = False) -> None:
    """Show a template as the document it is: YAML that can be edited and given to replace."""
    with open_backend(server) as backend:
        row = backend.template(name)
    if json:
        write_json(row)
    else:
        write(_as_yaml(row["document"]).rstrip())


@templates.command()
def add(file: options.TemplateFile, server: options.Server = None, json: options.Json = False) -> None:
    """Store a new template."""
    document = _read(file)
    with open_backend(server) as backend:
        _written(backend.add_template(document), json)


@templates.command()
def replace(
    name: options.TemplateName,
    file: options.TemplateFile,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Store the next version of a template."""
    document = _read(file)
    with open_backend(server) as backend:
        _written(backend.replace_template(name, document), json)


@templates.command()
def remove(name: options.TemplateName, server: options.Server = None) -> None:
    """Remove a template; runs that were made from it keep their copy."""
    with open_backend(server) as backend:
        backend.remove_template(name)
    note(f"removed {name}")


@templates.command()
def validate(file: options.TemplateFile, server: options.Server = None, json: options.Json = False) -> None:
    """Check a template without storing it; every problem is named."""
    document = _read(file)
    with open_backend(server) as backend:
        result = backend.validate_template(document)
    if json:
        write_json(result)
    else:
        write(f"{file}: valid; queues: {', '.join(result['queues']) or 'none'}")
        for step, delays in zip(result["document"]["steps"][1:], result["retry_delays"], strict=True):
            waits = ", ".join(f"{delay:g} s" for delay in delays)
            write(f"  {step['type']}: {len(delays) + 1} attempts{f', after {waits}' if waits else ''}")


@templates.command()
def copy(
    name: options.TemplateName,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Name of the copy.", show_default=False)],
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Store a copy of a template under another name."""
    with open_backend(server) as backend:
        _written(backend.add_template(backend.template(name)["document"] | {"name": new}), json)


@steps.command("list")
def list_steps(name: options.TemplateName, server: options.Server = None, json: options.Json = False) -> None:
    """Show a template's steps."""
    with open_backend(server) as backend:
        rows = _positioned(backend.template(name)["document"])
    if json:
        write_json(rows)
    else:
        write_table(rows, _STEPS)


@steps.command("add")
def add_(
    name: options.TemplateName,
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Step type, e.g. VERIFY.", show_default=False)],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="e.g. queue=verify", show_default=False)
    ] = None,
    at: Annotated[int | None, typer.Option(min=0, metavar="POSITION", help="Where. Default: at the end.")] = None,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Add a step to a template."""
    given = step_values(values or [])
    _change(name, server, json, lambda document: add_step(document, type_, given, at))


@steps.command("set")
def set_(
    name: options.TemplateName,
    position: Position,
    values: Values,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Change a step; null as a value takes a setting back to its default."""
    given = step_values(values)
    _change(name, server, json, lambda document: set_step(document, position, given))


@steps.command("remove")
def remove_(
    name: options.TemplateName, position: Position, server: options.Server = None, json: options.Json = False
) -> None:
    """Remove a step from a template."""
    _change(name, server, json, lambda document: remove_step(document, position))


def _row(row: Document) -> Document:
    document = row["document"]
    step_types = ", ".join(step["type"] for step in document["steps"])
    return row | {"shipped": "yes" if row["shipped"] else "", "orders": document["orders"], "steps": step_types}


def _positioned(document: Document) -> list[Document]:
    return [{"position": position} | step for position, step in enumerate(document["steps"])]


def _change(name: str, server: str | None, json: bool, change: Callable[[Document], Document]) -> None:
    """Store the template's next version, with its steps changed; the API checks it as a whole."""
    with open_backend(server) as backend:
        row = backend.replace_template(name, change(backend.template(name)["document"]))
    if json:
        write_json(row)
    else:
        note(f"stored {row['name']} version {row['version']}")
        write_table(_positioned(row["document"]), _STEPS)


def _written(row: Document, json: bool) -> None:
    if json:
        write_json(row)
    else:
        note(f"stored {row['name']} version {row['version']}")


def _read(file: str) -> Document:
    from app.cli.documents import read_document

    return read_document(file)


def _as_yaml(document: Document) -> str:
    import yaml

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
