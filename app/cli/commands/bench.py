"""``yeeter bench``: measurements of Yeeter itself. Every row is stored in the database as soon as it is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli import options
from app.cli.bench_rows import check_csv, exit_code, numbers, receivers, write_rows
from app.cli.interrupts import terminated_as_interrupted
from app.cli.output import note

if TYPE_CHECKING:
    from app.bench.keeping import Destinations, Keeper
    from app.bench.launch import Launcher

bench = typer.Typer(no_args_is_help=True)

Hl7 = Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Default: a built-in receiver.")]
Pacs = Annotated[str | None, typer.Option(metavar="AET@HOST:PORT", help="Default: a built-in receiver.")]
Csv = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the rows to this file, too.")]
Template = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Name of a template, or a file.")]


@bench.command()
def matrix(
    templates: Annotated[
        list[str] | None, typer.Argument(metavar="TEMPLATE...", help="Names or files. Default: metadata-only.")
    ] = None,
    orders: Annotated[str, typer.Option(metavar="N,...", help="Order counts.")] = "1000,5000",
    workers: Annotated[str, typer.Option(metavar="W,...", help="Numbers of worker processes.")] = "1,2,4",
    prefetch: Annotated[
        str | None, typer.Option(metavar="M,...", help="Messages that a worker holds. Default: as it is set.")
    ] = None,
    concurrency: Annotated[
        str | None, typer.Option(metavar="J,...", help="Jobs a worker runs side by side. Default: as it is set.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=100, metavar="R", help="Launches of each combination.")] = 1,
    hl7: Hl7 = None,
    pacs: Pacs = None,
    csv: Csv = None,
    json: options.Json = False,
) -> None:
    """Launch every combination over RabbitMQ and measure it; exit code 99 unless each ends whole."""
    from app.bench.combinations import Axes
    from app.bench.figures import measured_launch
    from app.bench.keeping import Destinations
    from app.bench.matrix import keep_rows, run_matrix
    from app.cli.request import RunFlags, read_flag, run_request
    from app.settings import load_settings

    settings = load_settings()
    check_csv(csv)
    axes = Axes(
        templates=templates or ["metadata-only"],
        orders=read_flag(numbers("order counts", "1000,5000"), orders, "--orders") or [],
        workers=read_flag(numbers("worker counts", "1,2,4", most=64), workers, "--workers") or [],
        prefetch=read_flag(numbers("message counts", "32,200", most=5000), prefetch, "--prefetch")
        or [settings.worker_prefetch],
        concurrency=read_flag(numbers("job counts", "2,8", most=256), concurrency, "--concurrency")
        or [settings.worker_concurrency],
        repeat=repeat,
        destinations=Destinations(hl7, pacs),
    )
    documents = {name: run_request(RunFlags(template=name)).template for name in axes.templates}
    with _launching("matrix", axes.destinations) as (launcher, keeper):
        for document in documents.values():
            launcher.prepare(document, max(axes.orders))  # what is wrong is told before anything is launched
        rows = run_matrix(
            axes.combinations(),
            lambda combination: measured_launch(launcher, documents[combination.template], combination),
            note,
        )
        measured, interrupted = keep_rows(rows, keeper)
    write_rows([row.as_row() for row in measured], [row.as_shown() for row in measured], csv, json)
    raise typer.Exit(exit_code([row.problem for row in measured], interrupted))


@bench.command()
def pipeline(
    template: Template = "metadata-only",
    orders: Annotated[str, typer.Option(metavar="N,...", help="Order counts, a row for each.")] = "1000,5000",
    workers: Annotated[int, typer.Option(min=1, max=64, metavar="W", help="Worker processes.")] = 2,
    hl7: Hl7 = None,
    pacs: Pacs = None,
    json: options.Json = False,
) -> None:
    """Measure emission alone and then the whole way over RabbitMQ, with a producer and workers of its own."""
    from app.bench.keeping import Destinations, command_line
    from app.bench.launch import WorkerShape
    from app.bench.pipeline import bench_pipeline
    from app.cli.request import RunFlags, read_flag, run_request
    from app.settings import load_settings

    settings = load_settings()
    counts = read_flag(numbers("order counts", "1000,5000"), orders, "--orders") or []
    document = run_request(RunFlags(template=template)).template
    shape = WorkerShape(workers, settings.worker_prefetch, settings.worker_concurrency)
    destinations = Destinations(hl7, pacs)
    figures = []
    with _launching("pipeline", destinations) as (launcher, keeper):
        for row in bench_pipeline(launcher, document, counts, shape, note):
            typed = {"--orders": row.orders, "--workers": workers} | destinations.as_options()
            parameters = {"template": template, "orders": row.orders} | asdict(shape) | destinations.as_parameters()
            keeper.keep(command_line("pipeline", template, typed), parameters, row.as_row())
            figures.append(row.as_row())
    write_rows(figures, figures, None, json)


@bench.command("hl7")
def hl7_(
    template: Template = "metadata-only",
    messages: Annotated[int, typer.Option(min=1, max=1_000_000, metavar="N", help="Orders to send.")] = 100_000,
    connections: Annotated[int, typer.Option(min=1, max=256, metavar="C", help="MLLP connections.")] = 1,
    hl7: Hl7 = None,
    csv: Csv = None,
    json: options.Json = False,
) -> None:
    """Measure the way of orders alone: plan, render, send over MLLP, check each ACK; no run is written."""
    from app.bench.keeping import Destinations, Keeper, command_line
    from app.bench.machine import machine_of
    from app.bench.orders import bench_orders
    from app.bootstrap import bootstrap, prepare_database
    from app.cli.request import RunFlags, run_request
    from app.settings import load_settings

    check_csv(csv)
    request = run_request(RunFlags(template=template, orders=messages, hl7=hl7))
    with bootstrap(load_settings()) as bundle, receivers(request, dicom=False) as complete:
        prepare_database(bundle)
        keeper = Keeper(bundle.database, "hl7", machine_of(bundle.database))
        note(f"{messages} messages over {connections} connections")
        figures = bench_orders(bundle, complete, connections)
        sizes = {"messages": messages, "connections": connections}
        typed = {f"--{name}": size for name, size in sizes.items()} | Destinations(hl7).as_options()
        parameters = {"template": template, **sizes, "hl7": Destinations(hl7).as_parameters()["hl7"]}
        keeper.keep(command_line("hl7", template, typed), parameters, figures.as_figures())
    write_rows([parameters | figures.as_figures()], [figures.as_shown()], csv, json)
    raise typer.Exit(exit_code([figures.problem]))


@bench.command("list")
def list_(
    suite: Annotated[Literal["matrix", "pipeline", "hl7"] | None, typer.Option(help="Only this one.")] = None,
    limit: options.Limit = 100,
    csv: Csv = None,
    json: options.Json = False,
) -> None:
    """Show what was measured, the newest first; whole with --json or --csv."""
    from app.bench.keeping import document_of, shown_of
    from app.bootstrap import bootstrap
    from app.cli.backend.local import ready_database
    from app.settings import load_settings

    check_csv(csv)
    with bootstrap(load_settings()) as bundle:
        ready_database(bundle)
        with bundle.database.transaction() as work:
            rows = work.benchmarks.latest(suite, limit)
    write_rows([document_of(row) for row in rows], [shown_of(row) for row in rows], csv, json)


@contextmanager
def _launching(suite: str, destinations: Destinations) -> Iterator[tuple[Launcher, Keeper]]:
    """What launches over the configured broker, with built-in receivers where no destination is named."""
    from app.bench.keeping import Keeper
    from app.bench.launch import Launcher, require_broker
    from app.bench.machine import machine_of
    from app.bootstrap import bootstrap, prepare_database
    from app.cli.request import RunFlags, run_request
    from app.settings import load_settings

    named = run_request(RunFlags(template="", hl7=destinations.hl7, pacs=destinations.pacs))
    with terminated_as_interrupted(), bootstrap(load_settings()) as bundle:
        require_broker(bundle)
        prepare_database(bundle)
        with receivers(named) as complete:
            yield Launcher(bundle, complete), Keeper(bundle.database, suite, machine_of(bundle.database))
