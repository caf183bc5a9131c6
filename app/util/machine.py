"""What the present machine is, for figures that mean nothing without it."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path

from app import __version__


@cache
def describe_machine() -> dict[str, str | int | float]:
    """This program's version, and the processor, cores, memory in GiB, system and Python that it runs on."""
    described: dict[str, str | int | float] = {
        "yeeter": __version__,
        "python": platform.python_version(),
        "system": _found(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release")) or platform.system(),
        "kernel": platform.release(),
        "processor": _found(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo")) or platform.processor(),
        "cores": os.cpu_count() or 0,
    }
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        described["memory_gib"] = round(memory / 2**30, 1)
    return described


def _found(pattern: str, path: Path) -> str:
    try:
        match = re.search(pattern, path.read_text(encoding="utf-8"), re.M)
    except OSError:  # another system has no such file
        return ""
    return match[1] if match else ""
