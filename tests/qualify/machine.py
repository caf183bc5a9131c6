"""What was measured, and on what: commit, processor, memory, system, and the versions of everything that took part."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmqctl"
POSTGRES = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Tree:
    """``app`` names the contents of app/: figures are those of every commit that has the same."""

    commit: str
    app: str
    dirty: bool  # app/ is not as it is committed


def this_tree() -> Tree:
    return Tree(
        _git("rev-parse", "HEAD"), _git("rev-parse", "HEAD:app"), bool(_git("status", "--porcelain", "--", "app"))
    )


def this_machine() -> dict[str, str | int]:
    """Versions of programs that are not installed are empty."""
    system = _found(r'PRETTY_NAME="(.*)"', _release())
    return {
        "processor": _found(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{system}, Linux {platform.release()}",
        "python": platform.python_version(),
        "rabbitmq": _version(RABBITMQ, "version"),
        "postgresql": _version(*_newest_postgres(), "--version"),
        "orthanc": _version("Orthanc", "--version"),
        "dcmtk": _version("storescp", "--version"),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _release() -> str:
    path = Path("/etc/os-release")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _newest_postgres() -> list[str]:
    found = sorted(POSTGRES.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return [str(path) for path in found[-1:]]


def _version(program: str, *arguments: str) -> str:
    path = shutil.which(program, path=SBIN)
    if path is None:
        return ""
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60, check=False)
    return _found(r"(?<![\w.])v?(\d+\.\d+(?:\.\d+)?)", done.stdout)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.M)
    return match[1] if match else ""
