"""Preflight: before anything is sent, is there a destination for everything, and can each be reached at all?"""

from __future__ import annotations

from app.dicom.estimate import estimate_bytes
from app.domain.destination import Hl7Destination
from app.domain.errors import InvalidInput, Problem, Unavailable
from app.domain.planning import OrderPlanner
from app.domain.run import Run
from app.domain.template import Template, step_queue
from app.ports import ArchiveQuery, StudyStore
from app.util.addresses import Resolve, connect, resolve

SAMPLE = 50  # orders whose studies are taken for the average
IN_WORK = 64  # studies that are in the store at a time while the steps of an order share a queue


def require_destinations(template: Template, has_receivers: bool) -> None:
    """Check that every destination is given, or that built-in receivers can stand in (``has_receivers``).

    Raises:
        InvalidInput: names the destinations that are missing.
    """
    destinations = (("hl7", template.destinations.hl7), ("dicom", template.destinations.dicom))
    missing = [name for name, destination in destinations if destination is None]
    if missing and not has_receivers:
        cure = "give it, or unset RABBITMQ_URL to use the built-in receivers"
        raise InvalidInput(*(Problem(f"destinations.{name}", "no destination", cure) for name in missing))


def check_destinations(template: Template, archive: ArchiveQuery, resolve: Resolve = resolve) -> list[str]:
    """One line for each destination that can't be reached, saying what to do; empty when all is well."""
    problems = []
    destinations = template.destinations
    if destinations.hl7 is not None:
        problems += check_hl7(destinations.hl7, resolve)
    if destinations.dicom is not None and any(step.type == "SEND_DICOM" for step in template.steps):
        try:
            archive.echo(destinations.dicom)
        except Unavailable as error:
            problems.append(f"DICOM destination {destinations.dicom} can't be used: {error}")
    return problems


def check_hl7(destination: Hl7Destination, resolve: Resolve = resolve) -> list[str]:
    """As above, for the order receiver alone: whether it takes connections."""
    try:
        with connect(destination.host, destination.port, destination.connect_timeout, resolve):
            return []
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return [f"HL7 destination {destination} can't be reached: {reason}; start it, or correct the address"]


def check_room(run: Run, template: Template, studies: StudyStore, mark: int) -> list[str]:
    """One line when the study store has not the room that the run will need at a time; empty when it has.

    A study is removed after its order's last step. Where GENERATE_DICOM and a later step have queues of their own, up
    to ``mark`` studies (the back-pressure) wait between them.
    """
    types = [step.type for step in template.steps]
    if "GENERATE_DICOM" not in types:
        return []
    queues = {step_queue(template, index, "") for index in range(types.index("GENERATE_DICOM"), len(types))}
    planner = OrderPlanner(template, run.seed, run.run_key, run.base_time)
    sample = min(SAMPLE, run.requested)
    average = sum(estimate_bytes(planner.order(number).study) for number in range(sample)) / sample
    needed = average * min(run.requested, mark if len(queues) > 1 else IN_WORK)
    free = studies.free_bytes()
    if free is None or needed <= free:
        return []
    cure = "free some, set YEETER_STUDY_STORE to a larger disk, or use study.pixels=tiny"
    return [f"the study store has {free / 2**30:.1f} GiB free, this run needs about {needed / 2**30:.1f} GiB; {cure}"]
