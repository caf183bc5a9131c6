"""Step types that a chaos run's template names: jobs that can't be done, and jobs that kill whoever does them.

Registered as a site's own ones would be (``YEETER_STEP_TYPES``). Which orders they strike is in their parameters.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from app.domain.errors import PermanentError, TemporaryError
from app.ports import StepContext, StepResult, Toolbox

STEP_TYPES = (
    "CHAOS_POISON=tests.chaos.steps:Poison",
    "CHAOS_FLAKY=tests.chaos.steps:Flaky",
    "CHAOS_KILLER=tests.chaos.steps:Killer",
    "CHAOS_REFUSING=tests.chaos.steps:Refusing",
    "CHAOS_SLOW=tests.chaos.steps:Slow",
)


class _Striking:
    """Strikes the orders whose numbers are in its parameter ``orders``; does nothing for all others."""

    def __init__(self, tools: Toolbox) -> None:
        pass

    def check(self, parameters: dict[str, Any]) -> None:
        pass

    def run(self, context: StepContext) -> StepResult:
        if context.order.number in context.parameters["orders"]:
            self.strike(context)
        return StepResult()

    def strike(self, context: StepContext) -> None:
        raise NotImplementedError


class Poison(_Striking):
    """Fails for good."""

    def strike(self, context: StepContext) -> None:
        raise PermanentError(f"order {context.order.number} is poisoned")


class Flaky(_Striking):
    """Fails for now, the first time that it gets to say so; parameter ``folder`` remembers whom it has struck."""

    def strike(self, context: StepContext) -> None:
        struck = Path(context.parameters["folder"]) / str(context.order.number)
        if not struck.exists():
            struck.touch()
            raise TemporaryError(f"order {context.order.number} fails once")


class Killer(_Striking):
    """Kills its process, as a fault in native code or the kernel short of memory does."""

    def strike(self, context: StepContext) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Refusing(_Striking):
    """Fails for now, every time."""

    def strike(self, context: StepContext) -> None:
        raise TemporaryError(f"order {context.order.number} fails for now")


class Slow(_Striking):
    """Takes ``seconds``, and writes into the file ``log`` whose turn it is, and when it began; both are parameters."""

    def strike(self, context: StepContext) -> None:
        log = os.open(context.parameters["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, f"{context.order.number} {time.time():.0f}\n".encode())
        os.close(log)
        # time.sleep fails under a clock that is falsified (libfaketime 0.9.10: EINVAL).
        threading.Event().wait(context.parameters["seconds"])
