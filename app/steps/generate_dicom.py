"""GENERATE_DICOM: make the study that answers the order, for the step that sends it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import Field

from app.dicom.estimate import estimate_bytes
from app.dicom.study import generate_study
from app.ports import StepContext, StepResult, Toolbox
from app.steps.parameters import Parameters, read

# A study is handed over in memory where nobody but these may want it, and it is small: a worker has one of them for
# each of the jobs that it runs side by side.
_WANT_NO_STORE: Final = frozenset(("SEND_DICOM", "VERIFY", "WAIT"))
_MOST_IN_MEMORY: Final = 16 << 20  # bytes


class GenerateDicomParameters(Parameters):
    through_store: bool = Field(default=False, description="put the study into the study store in any case")


class GenerateDicom:
    def __init__(self, tools: Toolbox) -> None:
        self._studies = tools.studies

    def check(self, parameters: dict[str, Any]) -> None:
        read(GenerateDicomParameters, parameters)

    def run(self, context: StepContext) -> StepResult:
        study = generate_study(context.order)
        if _may_hand_over(context):
            context.handover.study = instances = tuple(study)
            return StepResult({"instances": len(instances), "bytes": sum(len(each.data) for each in instances)})
        count, size = self._studies.write(context.run_id, context.order.number, study)
        return StepResult({"instances": count, "bytes": size})


def _may_hand_over(context: StepContext) -> bool:
    following = context.following
    return (
        following[:1] == ("SEND_DICOM",)
        and _WANT_NO_STORE.issuperset(following)
        and estimate_bytes(context.order.study) <= _MOST_IN_MEMORY
        and not (context.parameters and read(GenerateDicomParameters, context.parameters).through_store)
    )
