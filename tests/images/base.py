"""A stand-in for ``python:X.Y-slim`` where no registry is reached: Debian, with its own Python in the same place."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from tests.images.engine import Engine

SUITE = "trixie"
PACKAGES = "ca-certificates,python3,python3-venv"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"  # in the order of the real one
NEEDLESS = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")


def python_base(engine: Engine) -> str:
    """The name of an image with ``python`` and ``pip`` in /usr/local/bin. It takes a minute to make it anew."""
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    image = f"localhost/yeeter-test-python:{key}"
    if not engine.has(image):
        root = Path(tempfile.mkdtemp(prefix="yeeter-base-", dir=_memory()))
        try:
            _install(engine, root)
            _commit(engine, root, image)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    return image


def _memory() -> str | None:
    """Where files that are gone in a minute need no disk, if there is room; dpkg waits for the disk after each one."""
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() and shutil.disk_usage(memory).free > 2**30 else None


def _install(engine: Engine, root: Path) -> None:
    root.chmod(0o755)
    engine("debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, root, timeout=900)
    for folder in NEEDLESS:
        shutil.rmtree(root / folder, ignore_errors=True)
    engine("chroot", root, "/usr/bin/python3", "-m", "venv", "/usr/local")


def _commit(engine: Engine, root: Path, image: str) -> None:
    container = engine("buildah", "from", "scratch").strip()
    engine("buildah", "copy", "--quiet", container, root, "/")
    engine("buildah", "config", f"--env=PATH={PATH}", "--env=LANG=C.UTF-8", container)
    engine("buildah", "commit", "--quiet", "--rm", container, image)
