"""What the Dockerfiles say, without building them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
DOCKERFILES = (PROJECT / "Dockerfile", PROJECT / "Dockerfile.worker")


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_hadolint_finds_nothing(file: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, file], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_both_begin_with_the_same_stage_so_that_it_is_built_once() -> None:
    first_stages = {re.search(r"ARG PYTHON_IMAGE.*?(?=FROM wheels)", file.read_text(), re.S)[0] for file in DOCKERFILES}
    assert len(first_stages) == 1


def test_the_images_are_of_this_version() -> None:
    version = re.search(r'^version = "(.*)"', (PROJECT / "pyproject.toml").read_text(), re.M)[1]
    for file in DOCKERFILES:
        assert f"ARG VERSION={version}\n" in file.read_text()


def test_the_images_have_what_developers_have() -> None:
    """No other versions, no other files than those of requirements.lock; which is why both are made by `make lock`."""
    developers, images = (
        set(re.findall(r"^(\S+==\S+|    --hash=\S+)", (PROJECT / name).read_text(), re.M))
        for name in ("requirements.lock", "requirements-images.lock")
    )
    assert images < developers
