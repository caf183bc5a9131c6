"""The long-running programs: ``serve``, ``worker`` and ``autoscaler``."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to bind to. Default: YEETER_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: YEETER_PORT.")] = None,
) -> None:
    """Serve the REST API."""
    from app.domain.errors import InvalidInput, Problem

    try:
        from app.api.server import serve as serve_api
    except ModuleNotFoundError as error:
        cure = "pip install 'hl7-yeeter[api]'; of the images, yeeter has it and yeeter-worker has not"
        raise InvalidInput(Problem("serve", f"{error.name} is not installed", cure)) from error
    serve_api(_settings(host=host, port=port))


def worker(
    queues: Annotated[
        str, typer.Option(metavar="A,B", help="Queues to take jobs from; default stands for RABBITMQ_ORDER_QUEUE.")
    ] = "",
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=256, help="Jobs side by side. Default: YEETER_WORKER_CONCURRENCY.")
    ] = None,
    prefetch: Annotated[
        int | None, typer.Option(min=1, max=5000, help="Messages held at most. Default: YEETER_WORKER_PREFETCH.")
    ] = None,
) -> None:
    """Take jobs from RabbitMQ until stopped; the same as python -m app.worker."""
    from app.worker.program import run_worker

    settings = _settings(worker_concurrency=concurrency, worker_prefetch=prefetch)
    names = [name.strip() for name in queues.split(",") if name.strip()]
    raise typer.Exit(run_worker(settings, names))


def autoscaler(
    once: Annotated[bool, typer.Option("--once", help="Look once, act, and end: for a CronJob.")] = False,
) -> None:
    """Size worker pools by what their queues hold; the same as python -m app.autoscaler."""
    from app.autoscaler.program import run_autoscaler

    raise typer.Exit(run_autoscaler(_settings(), once=once))


def _settings(**flags: Any) -> Any:
    """The settings with the flags that were given, and logs by them."""
    from app.settings import load_settings
    from app.util.logs import configure_logs

    settings = load_settings(**{name: value for name, value in flags.items() if value is not None})
    configure_logs(settings.log_level, settings.log_format)
    return settings
