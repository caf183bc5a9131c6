"""GENERATE_DICOM: make the study that answers the order, and put it into the study store."""

from __future__ import annotations

from typing import Any

from app.dicom.study import generate_study
from app.ports import StepContext, StepResult, Toolbox
from app.steps.parameters import Parameters, read


class GenerateDicom:
    def __init__(self, tools: Toolbox) -> None:
        self._studies = tools.studies

    def check(self, parameters: dict[str, Any]) -> None:
        read(Parameters, parameters)

    def run(self, context: StepContext) -> StepResult:
        instances, size = self._studies.write(context.run_id, context.order.number, generate_study(context.order))
        return StepResult({"instances": instances, "bytes": size})
