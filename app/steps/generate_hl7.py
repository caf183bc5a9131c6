"""GENERATE_HL7: build the ORM^O01, send it, check its ACK; done by the producer (``app.runs.producing.emit``)."""

from __future__ import annotations

from typing import Any

from app.ports import StepContext, StepResult, Toolbox
from app.steps.parameters import Parameters, read


class GenerateHl7:
    """Has its place in the registry so that templates can name it; its work is the emission itself."""

    def __init__(self, tools: Toolbox) -> None:
        pass

    def check(self, parameters: dict[str, Any]) -> None:
        read(Parameters, parameters)

    def run(self, context: StepContext) -> StepResult:
        raise NotImplementedError("orders are emitted by the producer, never by a worker")
