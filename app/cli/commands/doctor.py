"""``yeeter doctor``: try every connection, and say what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.exit_codes import ERROR
from app.cli.output import write, write_json

if TYPE_CHECKING:
    from pydantic import SecretStr

    from app.bootstrap import Bundle
    from app.domain.destination import DicomDestination, Hl7Destination

LOW_SPACE = 2**30  # bytes: a thousand CT slices and their database


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was tried, and what came of it."""

    name: str
    ok: bool
    detail: str


def doctor(
    hl7: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="An order receiver to try.")] = None,
    pacs: Annotated[str | None, typer.Option(metavar="AET@HOST:PORT", help="An archive to try (C-ECHO).")] = None,
    server: options.Server = None,
    json: options.Json = False,
) -> None:
    """Check every connection, and say what is wrong and what waits for somebody."""
    from app.bootstrap import bootstrap
    from app.settings import load_settings

    settings = load_settings(**({"server": server} if server is not None else {}))
    with bootstrap(settings) as bundle:
        diagnoses = [_try(name, check) for name, check in _connections(bundle, hl7, pacs)]
        if diagnoses[0].ok:  # the database, which knows the rest
            diagnoses += [_try(name, check) for name, check in _upkeep(bundle)]
    if json:
        write_json({"ok": all(diagnosis.ok for diagnosis in diagnoses), "checks": [asdict(d) for d in diagnoses]})
    else:
        for diagnosis in diagnoses:
            mark, style = ("ok    ", "green") if diagnosis.ok else ("BROKEN", "bold red")
            write(f"{mark}  {diagnosis.name:<12}  {diagnosis.detail}", style=style)
    if not all(diagnosis.ok for diagnosis in diagnoses):
        raise typer.Exit(ERROR)


def _connections(bundle: Bundle, hl7: str | None, pacs: str | None) -> Iterator[tuple[str, Callable[[], str]]]:
    """What to try, in the order in which a person would mend it."""
    from app.cli.request import read_flag
    from app.domain.destination import DicomDestination, Hl7Destination

    settings = bundle.settings
    receiver = read_flag(Hl7Destination.model_validate, hl7, "--hl7")
    archive = read_flag(DicomDestination.model_validate, pacs, "--pacs")
    yield "database", lambda: _database(bundle)
    yield "broker", lambda: _broker(bundle)
    yield "study store", lambda: _study_store(bundle)
    if settings.server:
        server, token = settings.server, settings.token
        yield "API", lambda: _api(server, token)
    if receiver:
        yield "HL7", lambda: _receiver(bundle, receiver)
    if archive:
        yield "PACS", lambda: _archive(bundle, archive)


def _upkeep(bundle: Bundle) -> Iterator[tuple[str, Callable[[], str]]]:
    """What goes on, or waits for somebody."""
    yield "queues", lambda: _queues(bundle)
    yield "destinations", lambda: _destinations(bundle)
    yield "dead letters", lambda: _dead_letters(bundle)


def _try(name: str, check: Callable[[], str]) -> Diagnosis:
    from app.domain.errors import YeeterError

    try:
        return Diagnosis(name, True, check())
    except (YeeterError, OSError) as error:
        return Diagnosis(name, False, str(error))


def _database(bundle: Bundle) -> str:
    from app.cli.backend.local import ready_database

    ready_database(bundle)
    return bundle.database.check()


def _broker(bundle: Bundle) -> str:
    from app.domain.errors import Unavailable

    if bundle.is_embedded:
        return "in-process queue (RABBITMQ_URL is not set)"
    trouble = bundle.broker.trouble()
    if trouble:
        raise Unavailable(trouble)
    queue = bundle.settings.rabbitmq_order_queue
    bundle.broker.declare([queue])
    depth = bundle.broker.depth(queue)
    consumers = f"{depth.consumers} consumers" if depth.consumers else "no consumers: start `yeeter worker`"
    return f"queue {queue}: {depth.ready} jobs ready, {consumers}"


def _queues(bundle: Bundle) -> str:
    """Whether jobs wait that nobody takes, or without a message."""
    from app.api.admin_overview import list_queues
    from app.domain.errors import Unavailable
    from app.runs.reading.overview import parked_jobs

    stuck = [queue for queue in list_queues(bundle) if queue.ready and not queue.consumers]
    if stuck:
        raise Unavailable(
            "; ".join(
                f"{queue.ready} jobs wait in {queue.name} and nobody takes them: "
                f"start `yeeter worker --queues {queue.name}`"
                for queue in stuck
            )
        )
    parked = [
        f"{each.jobs} of run {each.run.run_key} for {each.waiting_for}" for each in parked_jobs(bundle.database.queries)
    ]
    return f"parked jobs: {', '.join(parked)}" if parked else "no job is parked"


def _destinations(bundle: Bundle) -> str:
    from app.domain.errors import Unavailable
    from app.domain.work import DestinationState

    rows = bundle.database.queries.destinations()
    away = [row for row in rows if row.state is DestinationState.OPEN]
    if away:
        raise Unavailable(
            "; ".join(f"{row.key} is away since {row.since:%Y-%m-%d %H:%M:%S}: {row.reason}" for row in away)
        )
    return "nothing is held against any"


def _dead_letters(bundle: Bundle) -> str:
    from app.api.admin_views import statistics_view

    count = statistics_view(bundle.database.queries.dead_letter_counts()).open
    return f"{count} are open: `yeeter dead-letters list --state open`" if count else "none is open"


def _study_store(bundle: Bundle) -> str:
    from app.domain.errors import Unavailable

    probe = "doctor"
    bundle.studies.write(probe, 0, ())
    bundle.studies.remove(probe)
    free = bundle.studies.free_bytes()
    if free is None:
        return f"{bundle.settings.studies}: writable"
    if free < LOW_SPACE:
        raise Unavailable(f"{bundle.settings.studies}: only {free / 2**30:.1f} GiB free; make room")
    return f"{bundle.settings.studies}: writable, {free / 2**30:.1f} GiB free"


def _receiver(bundle: Bundle, destination: Hl7Destination) -> str:
    from app.domain.errors import Unavailable
    from app.runs.producing.preflight import check_hl7

    problems = check_hl7(destination, bundle.resolve)
    if problems:
        raise Unavailable(problems[0])
    return f"{destination} takes connections"


def _archive(bundle: Bundle, destination: DicomDestination) -> str:
    from app.domain.errors import Unavailable

    try:
        bundle.archive.echo(destination)
    except Unavailable as error:
        raise Unavailable(f"{error}; {_cure(bundle, destination)}") from error
    return f"{destination} answers C-ECHO"


def _cure(bundle: Bundle, destination: DicomDestination) -> str:
    if bundle.answers_others(destination):
        return "it answers pynetdicom, so this may be a defect of Yeeter: try again, then please report it"
    return "start it, or correct AE title and address"


def _api(server: str, token: SecretStr | None) -> str:
    from app.cli.backend.remote import RemoteBackend

    with RemoteBackend(server, token=token) as backend:
        return backend.check()
