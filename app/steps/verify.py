"""VERIFY: ask the archive for this order's study and compare. Optional; a run's reconciliation asks in bulk."""

from __future__ import annotations

import time
from typing import Any

from pydantic import Field

from app.dicom.comparison import ExpectedStudy, study_difference
from app.dicom.person_name import to_pn
from app.domain.errors import NotAnswerable, PermanentError, TemporaryError, TransportFault, Unavailable
from app.domain.order import Order
from app.ports import StepContext, StepResult, Toolbox
from app.steps.parameters import Parameters, read

_PAUSE = 0.5  # seconds between two questions to an archive that indexes late


class VerifyParameters(Parameters):
    within: float = Field(default=5.0, ge=0, le=60, description="seconds to go on asking an archive that indexes late")


class Verify:
    uses_archive = True

    def __init__(self, tools: Toolbox) -> None:
        self._archive = tools.archive

    def check(self, parameters: dict[str, Any]) -> None:
        read(VerifyParameters, parameters)

    def run(self, context: StepContext) -> StepResult:
        until = min(time.monotonic() + read(VerifyParameters, context.parameters).within, context.deadline)
        while True:
            difference = self._ask(context)
            if not difference:
                return StepResult({"found": 1})
            if time.monotonic() + _PAUSE > until:
                raise TemporaryError(difference)
            time.sleep(_PAUSE)

    def _ask(self, context: StepContext) -> str:
        order = context.order
        try:
            found = list(self._archive.studies(context.dicom, order.accession, 1))
        except NotAnswerable as error:
            raise PermanentError(f"{error}; remove the VERIFY step, or use an archive that answers C-FIND") from error
        except Unavailable as error:
            raise TransportFault(str(error)) from error
        if len(found) != 1:
            return f"the archive has {len(found)} studies for accession number {order.accession}, not 1"
        return study_difference(_expected(order), found[0])


def _expected(order: Order) -> ExpectedStudy:
    patient = order.patient
    return ExpectedStudy(
        order.study_uid,
        patient.patient_id,
        to_pn(patient.name),
        patient.birth_date.strftime("%Y%m%d") if patient.birth_date else "",
        patient.sex,
        order.study.instances,
    )
