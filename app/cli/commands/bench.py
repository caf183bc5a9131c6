"""``yeeter bench``: measurements of Yeeter itself."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.output import note, write_json, write_table

if TYPE_CHECKING:
    from app.runs.start import RunRequest

bench = typer.Typer(no_args_is_help=True)


@bench.callback()
def _group() -> None:
    """Keeps `pipeline` a subcommand, though it is the only one."""


@bench.command()
def pipeline(
    template: Annotated[
        str, typer.Argument(metavar="TEMPLATE", help="Name of a template, or a file.")
    ] = "metadata-only",
    orders: Annotated[str, typer.Option(metavar="N,...", help="Order counts, a row for each.")] = "1000,5000",
    workers: Annotated[int, typer.Option(min=1, max=64, metavar="W", help="Worker processes.")] = 2,
    hl7: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Default: a built-in receiver.")] = None,
    pacs: Annotated[str | None, typer.Option(metavar="AET@HOST:PORT", help="Default: a built-in receiver.")] = None,
    json: options.Json = False,
) -> None:
    """Measure the whole way over RabbitMQ, with a producer and workers of its own."""
    from app.bench.pipeline import bench_pipeline
    from app.bootstrap import bootstrap, prepare_database
    from app.cli.request import RunFlags, read_flag, run_request
    from app.settings import load_settings

    counts = read_flag(_counts, orders, "--orders") or []
    request = run_request(RunFlags(template=template, hl7=hl7, pacs=pacs))
    with bootstrap(load_settings()) as bundle, ExitStack() as stack:
        prepare_database(bundle)
        rows = bench_pipeline(bundle, _with_receivers(stack, request), counts, workers, note)
        figures = [row.as_row() for row in rows]
    if json:
        write_json(figures)
    else:
        write_table(figures, [(name, name.upper()) for name in figures[0]])


def _counts(text: str) -> list[int]:
    counts = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if not all(counts):
        raise ValueError(f"{text!r} is not a list of order counts; write for example 1000,5000")
    return counts


def _with_receivers(stack: ExitStack, request: RunRequest) -> RunRequest:
    """The request with built-in receivers, which end with the stack, where it names no destination."""
    from dataclasses import replace

    from app.producer.receivers import BuiltInReceiver

    if request.hl7 is None:
        request = replace(request, hl7=f"127.0.0.1:{stack.enter_context(BuiltInReceiver('mllp')).port}")
    if request.dicom is None:
        request = replace(request, dicom=f"YEETER@127.0.0.1:{stack.enter_context(BuiltInReceiver('dicom')).port}")
    return request
