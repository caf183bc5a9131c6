"""SEND_DICOM: store the study in the archive by C-STORE and read every status (PS3.4 annex B)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.dicom.study import generate_study
from app.domain.errors import NotFound, PermanentError, StepError, TemporaryError, TransportFault
from app.domain.study import EncodedInstance, StoreOutcome, StoreResult
from app.ports import StepContext, StepResult, Toolbox
from app.steps.parameters import Parameters, read

# What an instance that is not there means for the study, the one that decides first.
_ERRORS: dict[StoreOutcome, type[StepError]] = {
    "refused": PermanentError,
    "out_of_resources": TransportFault,
    "failed": TemporaryError,
}


class SendDicom:
    uses_archive = True

    def __init__(self, tools: Toolbox) -> None:
        self._studies = tools.studies
        self._sender = tools.sender

    def check(self, parameters: dict[str, Any]) -> None:
        read(Parameters, parameters)

    def run(self, context: StepContext) -> StepResult:
        results = self._sender.store(context.dicom, self._instances(context), context.deadline, context.is_cancelled)
        refused = [result for result in results if not result.is_there]
        if refused:
            raise _verdict(refused, len(results))
        return StepResult(_figures(results, context.earlier_unknown), instances_stored=len(results))

    def _instances(self, context: StepContext) -> Iterator[EncodedInstance]:
        """As handed over, or from the store; where that is another worker's, made again: same seed, same bytes."""
        if context.handover.study:
            yield from context.handover.study
            return
        try:
            yield from self._studies.read(context.run_id, context.order.number)
        except NotFound:
            yield from generate_study(context.order)


def _figures(results: list[StoreResult], earlier_unknown: bool) -> dict[str, Any]:
    """What was there already came from an earlier start, if there may have been one that stored; else it is a copy."""
    already_there = sum(result.outcome == "already_there" for result in results)
    return {
        "stored": len(results),
        "warnings": sum(result.outcome == "warning" for result in results),
        "already_there": 0 if earlier_unknown else already_there,
        "bytes": sum(result.size for result in results),
        "c_store": [round(result.seconds, 6) for result in results],
    }


def _verdict(refused: list[StoreResult], total: int) -> StepError:
    """An instance that is refused for good decides; else one that there is no room for (0xA7xx); else the first."""
    first = next(result for kind in _ERRORS for result in refused if result.outcome == kind)
    comment = f" {first.comment}" if first.comment else ""
    text = (
        f"the archive refused {len(refused)} of {total} instances; first {first.sop_instance_uid} "
        f"with status 0x{first.status:04X}{comment}"
    )
    return _ERRORS[first.outcome](text)
