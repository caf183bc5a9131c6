"""``/api/simulator/destinations/check``: would a run reach them?"""

from __future__ import annotations

from typing import TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError

from app.api.access import OPERATOR
from app.api.documents import JsonRoute
from app.api.problems import responses
from app.api.routes.runs import Body, TextOrMapping
from app.api.services import Api, Services
from app.api.views import PageView, View
from app.domain.destination import DicomDestination, Hl7Destination
from app.domain.errors import InvalidInput, Unavailable
from app.domain.template import problem_of
from app.runs.producing.preflight import check_hl7
from app.util.addresses import look_up

Destination = TypeVar("Destination", bound=BaseModel)

router = APIRouter(prefix="/api/simulator/destinations", tags=["runs"], route_class=JsonRoute)


class CheckBody(Body):
    hl7: TextOrMapping | None = Field(default=None, description="HOST:PORT, or its mapping in a template")
    dicom: TextOrMapping | None = Field(default=None, description="AET@HOST:PORT, or its mapping in a template")


class CheckedView(View):
    """Whether a destination answers: an order receiver by taking a connection, an archive by C-ECHO."""

    address: str
    ready: bool
    detail: str


@router.post("/check", dependencies=[OPERATOR], responses=responses(415))
def check_destinations(api: Api, body: CheckBody) -> PageView[CheckedView]:
    """Connect to destinations as a run would, and send nothing."""
    hl7 = None if body.hl7 is None else _read(Hl7Destination, body.hl7, "hl7")
    dicom = None if body.dicom is None else _read(DicomDestination, body.dicom, "dicom")
    api.allowlist.check_destinations({"destinations.hl7": hl7, "destinations.dicom": dicom}, look_up)
    checked = []
    if hl7 is not None:
        problems = check_hl7(hl7, api.bundle.resolve)
        checked.append(_view(hl7, "takes connections", problems[0] if problems else ""))
    if dicom is not None:
        checked.append(_view(dicom, "answers C-ECHO", _trouble_of_archive(api, dicom)))
    return PageView(items=checked)


def _read(kind: type[Destination], value: object, name: str) -> Destination:
    """Raises InvalidInput, named as the fields of a run's body."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False)
        problems = [problem_of(item, ("destinations", name, *item["loc"])) for item in items]
        raise InvalidInput(*problems) from error


def _trouble_of_archive(api: Services, dicom: DicomDestination) -> str:
    try:
        api.bundle.archive.echo(dicom)
    except Unavailable as error:
        return str(error)
    return ""


def _view(destination: Hl7Destination | DicomDestination, well: str, problem: str) -> CheckedView:
    return CheckedView(address=str(destination), ready=not problem, detail=problem or well)
