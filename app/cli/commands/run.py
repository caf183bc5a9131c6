"""``yeeter run``: launch a run and tell what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.result import ResultFiles, tell_result
from app.domain.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from app.cli.backend.remote import RemoteBackend
    from app.runs.start import RunRequest
    from app.settings import Settings

_WHAT, _WHERE, _RESULT = "What", "Where and how", "Result"


def run(
    template: Annotated[
        str, typer.Argument(metavar="TEMPLATE", help="Name of a template, or a YAML or JSON file.", show_default=False)
    ],
    orders: Annotated[int | None, typer.Option(min=1, metavar="N", rich_help_panel=_WHAT, help="Orders.")] = None,
    duration: Annotated[
        str | None,
        typer.Option(metavar="TIME", rich_help_panel=_WHAT, help="How long orders are sent, e.g. 90s, 10m, 1h30m."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="S", rich_help_panel=_WHAT, help="Decides content. Default: random.")
    ] = None,
    run_key: Annotated[
        str | None,
        typer.Option(metavar="K", rich_help_panel=_WHAT, help="Decides identity: 8 characters. Default: a new one."),
    ] = None,
    base_time: Annotated[
        str | None, typer.Option(metavar="ISO", rich_help_panel=_WHAT, help="Local time that dates begin at.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", rich_help_panel=_WHAT, help="e.g. study.pixels=tiny; YAML value."),
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="K=V", rich_help_panel=_WHAT, help="A label of the run.")
    ] = None,
    hl7: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", rich_help_panel=_WHERE, help="Order receiver. Default: a built-in one."),
    ] = None,
    pacs: Annotated[
        str | None,
        typer.Option(metavar="AET@HOST:PORT", rich_help_panel=_WHERE, help="Archive. Default: a built-in one."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(metavar="R", rich_help_panel=_WHERE, help="Orders a second. Default: full speed.")
    ] = None,
    connections: Annotated[
        int | None, typer.Option(min=1, max=256, metavar="C", rich_help_panel=_WHERE, help="MLLP connections.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            metavar="W",
            rich_help_panel=_WHERE,
            help="Jobs side by side; with RABBITMQ_URL, worker processes to start for this run.",
        ),
    ] = None,
    server: options.Server = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", rich_help_panel=_WHERE, help="With --server: stay until it has ended.")
    ] = True,
    threshold: Annotated[
        list[str] | None, typer.Option(metavar="EXPR", rich_help_panel=_RESULT, help="e.g. 'hl7_ack.p95 < 200ms'.")
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", rich_help_panel=_RESULT, help="Write the summary here, as JSON.")
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=_RESULT, help="Write the thresholds here as tests, as JUnit XML."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", rich_help_panel=_RESULT, help="Write a report here, as HTML."),
    ] = None,
    metrics: Annotated[
        Path | None, typer.Option(metavar="FILE", rich_help_panel=_RESULT, help="Write the run's figures here, as CSV.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", rich_help_panel=_RESULT, help="The summary as JSON on stdout.")
    ] = False,
) -> None:
    """Launch a run: in this process, or on the server that --server or YEETER_SERVER names.

    Exit codes: 0 pass or inconclusive, 1 error or FAILED, 2 usage, 99 thresholds not met, 130 interrupted.
    """
    from app.cli.request import RunFlags, run_request
    from app.settings import load_settings

    files = ResultFiles(summary, junit, report, metrics)
    files.check()
    request = run_request(
        RunFlags(
            template=template,
            orders=orders,
            duration=duration,
            seed=seed,
            run_key=run_key,
            base_time=base_time,
            hl7=hl7,
            pacs=pacs,
            rate=rate,
            connections=connections,
            thresholds=threshold or (),
            settings=set_ or (),
            labels=label or (),
        )
    )
    settings = load_settings(**({} if server is None else {"server": server}))
    if settings.server:
        if workers is not None:
            raise InvalidInput(Problem("--workers", "a server's workers are its own", "leave it out"))
        if not wait and (flag := files.first_flag()):
            raise InvalidInput(Problem(flag, "with --no-wait there is no result to write", "leave one of the two out"))
        from app.cli.backend.remote import RemoteBackend

        with RemoteBackend(settings.server, token=settings.token) as backend:
            _run_over_api(backend, request, connections, wait, files, json)
    elif not wait:
        raise InvalidInput(Problem("--no-wait", "without a server, this process is the run", "add --server URL"))
    else:
        _run_embedded(settings, request, workers, connections, files, json)


def _run_embedded(
    settings: Settings,
    request: RunRequest,
    workers: int | None,
    connections: int | None,
    files: ResultFiles,
    json: bool,
) -> None:
    from app.bootstrap import bootstrap, prepare_database
    from app.cli.backend.local import LocalBackend
    from app.cli.embedded import run_embedded

    with bootstrap(settings) as bundle:
        prepare_database(bundle)
        ended = run_embedded(bundle, request, workers, connections)
        backend = LocalBackend(bundle)
        tell_result(backend, backend.run(ended.id), files, json)


def _run_over_api(
    backend: RemoteBackend, request: RunRequest, connections: int | None, wait: bool, files: ResultFiles, json: bool
) -> None:
    from app.cli.output import write, write_json
    from app.cli.over_api import follow_over_api, start_over_api

    started = start_over_api(backend, request, connections)
    if wait:
        tell_result(backend, follow_over_api(backend, started), files, json)
    elif json:
        write_json(started)
    else:
        write(started["run_key"])
