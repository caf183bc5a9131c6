"""An independent validator, dciodvfy of David Clunie's dicom3tools, accepts what Yeeter makes."""

from __future__ import annotations

import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.dicom.part10 import write_part10
from app.dicom.study import generate_study
from app.domain.order import MODALITIES, Modality, Order, Pixels
from app.domain.study import EncodedInstance
from tests.unit.dicom_orders import every_procedure, one_of, patients

# Warnings that are understood: a private coding scheme (99...) is no defined term, and dciodvfy does not know that
# multi-planar reconstructions are told by MPR, nor Requesting Service, which PS3.3 table C.7-3 has.
_UNDERSTOOD = re.compile(
    r"Unrecognized defined term = <(99YEETER|MPR)>|RequestingService\(0032,1033\)> - Attribute is not present"
)

# PS3.5 table 6.2-1 limits PN to 64 characters a component group; dciodvfy counts bytes, of which UTF-8 takes more.
_BYTES_COUNTED = re.compile(r"VR \[PN\] = <(.*)> - Length invalid for this VR = <\d+> - expected <= 64")


@pytest.fixture(scope="session")
def dciodvfy() -> str:
    program = shutil.which("dciodvfy")
    assert program, "dciodvfy is missing: install the Debian package dicom3tools"
    return program


def complaints(dciodvfy: str, instance: EncodedInstance, file: Path) -> list[str]:
    """Every error, and every warning that is not understood."""
    file.write_bytes(write_part10(instance) + instance.data)
    done = subprocess.run([dciodvfy, "-new", str(file)], capture_output=True, text=True, timeout=60)
    lines = (done.stderr + done.stdout).splitlines()
    assert any(line.endswith(("Image", "ImageForPresentation")) for line in lines), f"no IOD recognised: {lines}"
    return [line for line in lines if line.startswith(("Error", "Warning")) and not understood(line)]


def understood(line: str) -> bool:
    counted = _BYTES_COUNTED.search(line)
    return _UNDERSTOOD.search(line) is not None or (
        counted is not None and len(counted[1]) <= 64 < len(counted[1].encode())
    )


def assert_valid(dciodvfy: str, order: Order, folder: Path) -> None:
    instances = list(generate_study(order))
    files = [folder / f"{number}.dcm" for number in range(len(instances))]
    with ThreadPoolExecutor(2) as pool:
        found = pool.map(lambda pair: complaints(dciodvfy, *pair), zip(instances, files, strict=True))
    assert [line for lines in found for line in lines] == []


@pytest.mark.parametrize("order", every_procedure(), ids=lambda order: order.procedure.value)
def test_every_series_of_every_procedure_is_valid(order: Order, dciodvfy: str, tmp_path: Path) -> None:
    assert_valid(dciodvfy, order, tmp_path)


@pytest.mark.parametrize("pixels", ["full", "tiny"])
@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_modality_is_valid_in_both_sizes(
    modality: Modality, pixels: Pixels, number: int, dciodvfy: str, tmp_path: Path
) -> None:
    assert_valid(dciodvfy, one_of(modality, pixels=pixels, order=patients(3)[number]), tmp_path)


def test_the_check_itself_sees_what_is_missing(dciodvfy: str, tmp_path: Path) -> None:
    instance = next(iter(generate_study(one_of("CT"))))
    data = bytes(instance.data)
    start = data.index(b"\x28\x00\x53\x10DS")  # Rescale Slope, type 1
    damaged = EncodedInstance(
        instance.sop_class_uid,
        instance.sop_instance_uid,
        instance.transfer_syntax_uid,
        data[:start] + data[start + 10 :],
    )
    assert any("RescaleSlope" in line for line in complaints(dciodvfy, damaged, tmp_path / "damaged.dcm"))
