"""A step type whose effect can be counted: a line of a file for each time that it was done."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from app.ports import StepContext, StepResult, Toolbox

STEP_TYPES = ("SCALING_COUNT=tests.scaling.steps:Count",)


class Count:
    """Takes ``seconds``, then appends the order's number to ``file``."""

    def __init__(self, tools: Toolbox) -> None:
        pass

    def check(self, parameters: dict[str, Any]) -> None:
        pass

    def run(self, context: StepContext) -> StepResult:
        time.sleep(context.parameters["seconds"])
        with Path(context.parameters["file"]).open("ab", buffering=0) as file:
            file.write(f"{context.order.number} {os.getpid()}\n".encode())  # one write: lines of many don't mix
        return StepResult()
