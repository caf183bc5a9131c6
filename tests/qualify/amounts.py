"""How much a measuring test does. What the environment does not say is the short form, part of every test run."""

from __future__ import annotations

import os

PREFIX = "YEETER_QUALIFY_"


def amount(name: str, short: int) -> int:
    """The long form is chosen by the environment variable ``YEETER_QUALIFY_<name>``."""
    return int(os.environ.get(f"{PREFIX}{name}", short))
