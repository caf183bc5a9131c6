"""Programs of ours that we start, and that don't outlive us."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

END_WITH_INPUT = "--end-with-input"  # the option of such a program that has it heed the end of its standard input


class ChildPrograms:
    """Starts Python modules whose standard input ends when we do, however we end.

    Each is in a session of its own: a Ctrl-C is for us to act on.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._input, self._lifeline = os.pipe()  # nobody else has the end for writing, and nobody writes

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Raises OSError when it can't be started."""
        command = [sys.executable, "-m", module, *arguments, END_WITH_INPUT]
        return subprocess.Popen(  # noqa: S603 - our own command
            command, env=self._environment, stdin=self._input, start_new_session=True
        )


def wait_for_end_of_input() -> None:
    """Return when whoever started us has ended."""
    while os.read(0, 4096):
        pass
