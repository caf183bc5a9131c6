"""WAIT: the rest of the order's steps goes on later; the worker does not sleep for it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from app.ports import StepContext, StepResult, Toolbox
from app.steps.parameters import Parameters, read


class WaitParameters(Parameters):
    seconds: float = Field(gt=0, le=86_400, description="how long")


class Wait:
    def __init__(self, tools: Toolbox) -> None:
        pass

    def check(self, parameters: dict[str, Any]) -> None:
        read(WaitParameters, parameters)

    def run(self, context: StepContext) -> StepResult:
        seconds = read(WaitParameters, context.parameters).seconds
        return StepResult({"wait_seconds": seconds}, wait_seconds=seconds)
