"""buildah and podman with a store of their own, apart from any other containers of the machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from tests.services.processes import Program, ServiceMissing

PROJECT = Path(__file__).resolve().parents[2]
SOURCE = "https://source.example/yeeter"
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
PIP_FILES = ("/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")  # how this machine's pip finds packages

STORAGE = """\
[storage]
driver = "overlay"
runroot = "{folder}/run"
graphroot = "{folder}/storage"
"""
# runc and cgroupfs: neither systemd nor the unified hierarchy of cgroups is needed. Limits that can be set without
# CAP_SYS_RESOURCE. Locks as files: those in shared memory are common to all stores.
CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{folder}/tmp"
"""
# What a cluster's "restricted" profile asks for.
LOCKED_DOWN = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--user=10001")


class Engine:
    """Builds and runs images. Everything it keeps is in the folder.

    Raises:
        ServiceMissing: a program is not installed.
        RuntimeError: not root.
    """

    def __init__(self, folder: Path) -> None:
        for program in ("buildah", "podman", "runc", "debootstrap"):
            if shutil.which(program, path=PATH) is None:
                raise ServiceMissing(program, program)
        if os.geteuid() != 0:
            raise RuntimeError("the images are built and run as root: run these tests with sudo")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
        self._environment = {
            **proxies,
            "PATH": PATH,
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "TMPDIR": str(folder),
            "DISABLE_HC_SYSTEMD": "true",  # health is checked when it is asked for
            "CONTAINERS_STORAGE_CONF": self._write("storage.conf", STORAGE),
            "CONTAINERS_CONF": self._write("containers.conf", CONTAINERS),
        }

    def __call__(
        self,
        *command: str | Path,
        code: int | None = 0,
        timeout: float = 600,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Run a program to its end; what it has written. Its exit code must be ``code`` (None: whatever it is)."""
        done = subprocess.run(
            [str(part) for part in command],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert code is None or done.returncode == code, f"{command}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def has(self, image: str) -> bool:
        return subprocess.run(["podman", "image", "exists", image], env=self._environment, check=False).returncode == 0

    def build(self, base: str, tag: str) -> None:
        """Build the project's images, of layers that are there already where nothing of theirs has changed."""
        volumes = [f"--volume={name}:{name}:ro" for name in PIP_FILES if Path(name).exists()]
        how = ("--layers", "--isolation=chroot", "--network=host", "--pull-never", f"--build-arg=PYTHON_IMAGE={base}")
        given = {"ENGINE": "buildah", "TAG": tag, "SOURCE": SOURCE}
        self(PROJECT / "scripts" / "images", *how, *volumes, timeout=1200, environment=given)

    def run(self, *arguments: str, code: int | None = 0, timeout: float = 120) -> str:
        """A container that runs to its end; arguments are podman's, with the image and its own behind them."""
        return self("podman", "run", "--rm", *LOCKED_DOWN, *arguments, code=code, timeout=timeout)

    def start(self, log: Path, name: str, *arguments: str) -> Container:
        """A container that goes on until it is stopped."""
        command = ["podman", "run", "--rm", f"--name={name}", *LOCKED_DOWN, *arguments]
        return Container(self, name, command, log, self._environment)

    def _write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text.format(folder=self.folder))
        return str(path)


class Container(Program):
    """A running container; ``terminate`` sends its first process SIGTERM, by way of podman."""

    def __init__(
        self, engine: Engine, name: str, command: Sequence[str | Path], log: Path, environment: dict[str, str]
    ) -> None:
        self._engine = engine
        self._name = name
        super().__init__(command, log, environment)

    def execute(self, *command: str, code: int | None = 0) -> str:
        return self._engine("podman", "exec", self._name, *command, code=code, timeout=60)

    def check_health(self) -> None:
        """Raises AssertionError when its image's health check fails."""
        self._engine("podman", "healthcheck", "run", self._name, timeout=60)

    def kill(self) -> int:
        self._engine("podman", "rm", "--force", "--time=0", "--ignore", self._name, timeout=60)
        return super().kill()
