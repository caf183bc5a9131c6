"""``yeeter runs resume``: have a run go on that is paused, or that was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.result import ResultFiles, tell_result
from app.domain.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from app.settings import Settings


def resume(
    name: options.RunName,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, metavar="W", help="As of `yeeter run`, where this process goes on.")
    ] = None,
    server: options.Server = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary here, where this process goes on.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="As of `yeeter run`, where this process goes on.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Have a paused run go on; one that was interrupted goes on in this process, unless a server is named.

    Exit codes: those of `yeeter run`, where this process goes on.
    """
    from app.settings import load_settings

    files = ResultFiles(summary, junit)
    files.check()
    settings = load_settings(**({} if server is None else {"server": server}))
    if not settings.server:
        _resume_here(settings, name, workers, files, json)
    elif option := "--workers" if workers is not None else files.first_flag():
        raise InvalidInput(Problem(option, "the server goes on with the run", "leave it out"))
    else:
        _resume_there(settings, name, json)


def _resume_there(settings: Settings, name: str, json: bool) -> None:
    from app.cli.backend.remote import RemoteBackend

    assert settings.server is not None
    with RemoteBackend(settings.server, token=settings.token) as backend:
        _say(backend.resume_run(name), json)


def _resume_here(settings: Settings, name: str, workers: int | None, files: ResultFiles, json: bool) -> None:
    from app.bootstrap import bootstrap
    from app.cli.backend.local import LocalBackend, ready_database
    from app.cli.embedded import resume_embedded

    with bootstrap(settings) as bundle:
        ready_database(bundle)
        ended = resume_embedded(bundle, name, workers)
        backend = LocalBackend(bundle)
        if ended is None:
            _say(backend.run(name), json)
        else:
            tell_result(backend, backend.run(ended.id), files, json)


def _say(run: dict[str, object], json: bool) -> None:
    from app.cli.output import note, write_json

    if json:
        write_json(run)
    else:
        note(f"run {run['run_key']} is {run['state']}")
