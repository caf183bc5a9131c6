"""A step of somebody else that ends its process for some orders (``DANGEROUS``), for the processes that tests start."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from app.ports import StepContext, StepResult, Toolbox

STEP_TYPES = '["DANGEROUS=tests.runs.dangerous_steps:Dangerous"]'
ROOT = Path(__file__).parent.parent.parent


class Dangerous:
    """Parameters: ``log``, a file that gets a line (order, process) for each start; and the orders that do the rest."""

    def __init__(self, tools: Toolbox) -> None:
        pass

    def check(self, parameters: dict[str, Any]) -> None:
        pass

    def run(self, context: StepContext) -> StepResult:
        number, parameters = context.order.number, context.parameters
        with Path(parameters["log"]).open("a") as log:
            log.write(f"{number} {os.getpid()}\n")
        print('{"this is": "no answer"}')  # as careless steps do
        sys.stdout.flush()
        if number in parameters.get("killing", ()):
            os.kill(os.getpid(), signal.SIGKILL)
        if number in parameters.get("exiting", ()):
            os._exit(3)
        if number in parameters.get("hanging", ()):
            time.sleep(600)
        return StepResult({"process": os.getpid()})


def dangerous(log: Path, **parameters: Any) -> list[dict[str, Any]]:
    """A template's steps; ``timeout`` and ``retry`` are the step's own, the rest are its parameters."""
    own = {name: parameters.pop(name) for name in ("timeout", "retry") if name in parameters}
    step = {"type": "DANGEROUS", "parameters": {"log": str(log)} | parameters} | own
    return [{"type": "GENERATE_HL7", "queue_async": True}, step]


def starts(log: Path) -> dict[int, list[int]]:
    """The processes that each order was started in."""
    found: dict[int, list[int]] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        number, process = map(int, line.split())
        found.setdefault(number, []).append(process)
    return found


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a program of ours that has the step."""
    own = {"YEETER_STEP_TYPES": STEP_TYPES, "YEETER_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return dict(os.environ) | own | more
