"""What a benchmark was measured on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from app.ports import Database


def machine_of(database: Database) -> dict[str, Any]:
    """Processor, memory in GiB and system of this machine; the database, which may be on another one.

    Raises:
        Unavailable: the database can't be asked.
    """
    with database.transaction() as work:
        server = work.benchmarks.server()
    return {
        "processor": _found(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo")) or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": _found(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release")) or platform.platform(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "database": server,
    }


def _found(pattern: str, path: Path) -> str:
    try:
        match = re.search(pattern, path.read_text(encoding="utf-8"), re.M)
    except OSError:  # another system has no such file
        return ""
    return match[1] if match else ""
