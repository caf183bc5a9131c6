"""A third-party step type that a file tells what to refuse; register it by ``YEETER_STEP_TYPES``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from app.domain.errors import InvalidInput, PermanentError, Problem, TemporaryError
from app.ports import StepContext, StepResult, Toolbox

REGISTERED = json.dumps([f"PICKY={__name__}:Picky"])


class Picky:
    """``parameters.file`` maps order numbers to ``permanent``, ``temporary`` or ``defect``; the others are fine."""

    def __init__(self, tools: Toolbox) -> None:
        pass

    def check(self, parameters: dict[str, Any]) -> None:
        if "file" not in parameters:
            raise InvalidInput(Problem("file", "is missing", "name a JSON file"))

    def run(self, context: StepContext) -> StepResult:
        refused = json.loads(Path(context.parameters["file"]).read_text(encoding="utf-8"))
        match refused.get(str(context.order.number)):
            case "permanent":
                raise PermanentError("it is not to my taste")
            case "temporary":
                raise TemporaryError("it is not to my taste today")
            case "defect":
                raise ZeroDivisionError("no taste at all")
        return StepResult()


def picky_template(file: Path, orders: int) -> dict[str, Any]:
    """A template whose orders have to please that step before they are stored."""
    return {
        "name": "picky",
        "orders": orders,
        "modalities": {"CR": 1},
        "study": {"preset": "single", "pixels": "tiny"},
        "steps": [
            {"type": "GENERATE_HL7", "queue_async": True},
            {"type": "GENERATE_DICOM"},
            {
                "type": "PICKY",
                "parameters": {"file": str(file)},
                "retry": {"max_attempts": 2, "first_delay": 1},
            },
            {"type": "SEND_DICOM"},
        ],
    }
