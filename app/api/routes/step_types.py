"""``/api/simulator/step-types``: what kinds of steps a template may have on this server."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import Field

from app.api.access import VIEWER
from app.api.problems import responses
from app.api.services import Api
from app.api.views import PageView, View

router = APIRouter(prefix="/api/simulator/step-types", tags=["templates"])


class StepTypeView(View):
    name: str
    uses_archive: bool = Field(description="it talks to the order's DICOM destination")


@router.get("", dependencies=[VIEWER], responses=responses())
def list_step_types(api: Api) -> PageView[StepTypeView]:
    """The registered step types, by name."""
    steps = api.bundle.steps
    return PageView(
        items=[StepTypeView(name=name, uses_archive=steps.uses_archive(name)) for name in steps.types.names]
    )
